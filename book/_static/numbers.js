// A number as people write it: 3,328 and 0,52 are numbers too, and −2 with a minus of print.
function toNumber(text) {
  const plain = /^\d{1,3}(,\d{3})+$/.test(text) ? text.replaceAll(",", "") : text.replace(",", ".");
  return text === "" ? NaN : Number(plain.replace("−", "-"));
}
