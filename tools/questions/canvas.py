"""QTI 1.2 as Canvas reads it: a content package with one quiz a chapter.

Canvas wants the type and the points of a question in ``qtimetadata``, and the settings of a quiz in
a file of its own beside it. The format: https://www.imsglobal.org/question/qtiv1p2/imsqti_asi_bindv1p2.html
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from cnncourse_grader.files import zipped

from tools.questions import Chapter, Option, Question, feedback, to_html

QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
MANIFEST = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"
CANVAS = "http://canvas.instructure.com/xsd/cccv1p0"
META = "associatedcontent/imscc_xmlv1p1/learning-application-resource"
SETTINGS = {
    "quiz_type": "assignment",
    "shuffle_answers": "false",
    "scoring_policy": "keep_highest",
    "allowed_attempts": "1",
    # Between a test before and a test after, nobody should read the key.
    "show_correct_answers": "false",
    "hide_results": "always",
    "available": "false",
}


def write(chapters: Iterable[Chapter]) -> bytes:
    """Return the package, whose bytes depend on the questions alone."""
    files, resources = {}, Element("resources")
    for chapter in chapters:
        name = f"cnncourse_{chapter.stem}"
        quiz, settings = f"{name}/{name}.xml", f"{name}/assessment_meta.xml"
        files |= {quiz: assessment(chapter, name), settings: meta(chapter, name)}
        resource(resources, name, "imsqti_xmlv1p2", quiz, needs=f"{name}_meta")
        resource(resources, f"{name}_meta", META, settings)
    files["imsmanifest.xml"] = manifest(resources)
    return zipped(files)


def manifest(resources: Element) -> str:
    """Write the list of what is in the package."""
    node = Element("manifest", identifier="cnncourse_questions", xmlns=MANIFEST)
    metadata = SubElement(node, "metadata")
    SubElement(metadata, "schema").text = "IMS Content"
    SubElement(metadata, "schemaversion").text = "1.1.3"
    SubElement(node, "organizations")
    node.append(resources)
    return document(node)


def resource(parent: Element, name: str, kind: str, file: str, needs: str = "") -> None:
    """Add a file to the list, and what it cannot be read without."""
    node = SubElement(parent, "resource", identifier=name, type=kind)
    SubElement(node, "file", href=file)
    if needs:
        SubElement(node, "dependency", identifierref=needs)


def meta(chapter: Chapter, name: str) -> str:
    """Write the settings of a quiz."""
    node = Element("quiz", identifier=name, xmlns=CANVAS)
    SubElement(node, "title").text = chapter.title
    SubElement(node, "points_possible").text = f"{len(chapter.questions)}.0"
    for key, value in SETTINGS.items():
        SubElement(node, key).text = value
    return document(node)


def assessment(chapter: Chapter, name: str) -> str:
    """Write the questions of a quiz."""
    node = Element("questestinterop", xmlns=QTI)
    quiz = SubElement(node, "assessment", ident=name, title=chapter.title)
    fields(SubElement(quiz, "qtimetadata"), {"cc_maxattempts": "1"})
    section = SubElement(quiz, "section", ident="root_section")
    for question in chapter.questions:
        section.append(item(chapter, question))
    return document(node)


def fields(parent: Element, values: dict[str, str]) -> None:
    """Write facts as QTI does: a label and an entry for each."""
    for label, value in values.items():
        field = SubElement(parent, "qtimetadatafield")
        SubElement(field, "fieldlabel").text = label
        SubElement(field, "fieldentry").text = value


def item(chapter: Chapter, question: Question) -> Element:
    """Write a question: its kind, what is shown, what counts, what is said."""
    node = Element("item", ident=question.id, title=chapter.label(question))
    kind = "numerical_question" if question.numeric else "multiple_choice_question"
    facts = {"question_type": kind, "points_possible": "1.0"}
    if not question.numeric:
        facts["original_answer_ids"] = ",".join(ident(question, o) for o in question.options)
    facts["assessment_question_identifierref"] = f"question_{question.id}"
    fields(SubElement(SubElement(node, "itemmetadata"), "qtimetadata"), facts)
    node.append(presentation(question))
    node.append(processing(question))
    for name, text in sayings(chapter, question).items():
        said = SubElement(node, "itemfeedback", ident=name)
        material(SubElement(said, "flow_mat"), text)
    return node


def ident(question: Question, option: Option) -> str:
    """Name an option; no other option of the package has this name."""
    return f"{question.id}_{question.options.index(option)}"


def material(parent: Element, html: str) -> None:
    """Put a text where QTI looks for one."""
    SubElement(SubElement(parent, "material"), "mattext", texttype="text/html").text = html


def presentation(question: Question) -> Element:
    """Write what is shown: the question, and its options or a field."""
    node = Element("presentation")
    material(node, to_html(question.ask))
    response = {"ident": "response1", "rcardinality": "Single"}
    if question.numeric:
        field = SubElement(SubElement(node, "response_str", response), "render_fib")
        field.set("fibtype", "Decimal")
        SubElement(field, "response_label", ident="answer1")
        return node
    shown = SubElement(SubElement(node, "response_lid", response), "render_choice")
    for option in question.options:
        label = SubElement(shown, "response_label", ident=ident(question, option))
        material(label, to_html(option.text))
    return node


def processing(question: Question) -> Element:
    """Write what counts, in the order in which Canvas writes it: what is said, then the points.

    A number that is not the key gets one text about all wrong numbers that have a name.
    """
    node = Element("resprocessing")
    limits = {"maxvalue": "100", "minvalue": "0", "varname": "SCORE", "vartype": "Decimal"}
    SubElement(SubElement(node, "outcomes"), "decvar", limits)
    if not question.numeric:
        for option in question.options:
            met(rule(node, "Yes", f"{ident(question, option)}_fb"), question, option)
    key = rule(node, "No", "correct_fb" if question.numeric else "")
    met(key, question, question.key)
    key.insert(1, Element("setvar", action="Set", varname="SCORE"))
    key[1].text = "100"
    if question.numeric:
        SubElement(rule(node, "Yes", "general_incorrect_fb")[0], "other")
    return node


def rule(parent: Element, going_on: str, said: str = "") -> Element:
    """Add a rule with an empty condition, and what is said where it is met."""
    node = SubElement(parent, "respcondition", {"continue": going_on})
    SubElement(node, "conditionvar")
    if said:
        SubElement(node, "displayfeedback", feedbacktype="Response", linkrefid=said)
    return node


def sayings(chapter: Chapter, question: Question) -> dict[str, str]:
    """Return what is said, by the name that the rules give it."""
    said = {ident(question, one): feedback(chapter, one) for one in question.options}
    if not question.numeric:
        return {f"{name}_fb": text for name, text in said.items()}
    wrong = [one for one in question.options if not one.right]
    lines = [f"<p><strong>{one.text}</strong>:</p>{feedback(chapter, one)}" for one in wrong]
    return {
        "correct_fb": feedback(chapter, question.key),
        "general_incorrect_fb": "<p>Wrong numbers that have a name:</p>" + "".join(lines),
    }


def met(rule: Element, question: Question, option: Option) -> None:
    """Write when a rule is met: by the name of an option, or a number within its tolerance."""
    condition, response = rule[0], {"respident": "response1"}
    if not question.numeric:
        SubElement(condition, "varequal", response).text = ident(question, option)
        return
    either = SubElement(condition, "or")
    SubElement(either, "varequal", response).text = option.text
    within = SubElement(either, "and")
    number = float(option.text)
    SubElement(within, "vargte", response).text = f"{number - option.tolerance:.10g}"
    SubElement(within, "varlte", response).text = f"{number + option.tolerance:.10g}"


def document(node: Element) -> str:
    """Write an element as a file."""
    ElementTree.indent(node)
    return ElementTree.tostring(node, encoding="unicode", xml_declaration=True) + "\n"
