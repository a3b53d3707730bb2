"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from cnncourse.training import fit

# modern_lenet


def he(model):
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def layers(activation=nn.ReLU, pool=nn.MaxPool2d, hidden=120):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        activation(),
        pool(2),
        nn.Conv2d(6, 16, 5),
        activation(),
        pool(2),
        nn.Flatten(),
        nn.Linear(400, hidden),
        activation(),
        nn.Linear(hidden, 84),
        activation(),
        nn.Linear(84, 10),
    )


def model_sequential():
    return he(layers())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding="same")
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.kaiming_uniform_(weight, nonlinearity="relu")

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.reshape(len(x), -1)))
        return self.fc3(self.fc2(x).relu())


def model_class():
    return Net()


def model_by_hand():
    model = layers()
    with torch.no_grad():
        for layer in model:
            if hasattr(layer, "weight"):
                fan_in = layer.weight[0].numel()
                layer.weight.copy_(torch.randn_like(layer.weight) * math.sqrt(2 / fan_in))
                layer.bias.fill_(0)
    return model


def model_batch_norm():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    )


def model_lazy():
    model = nn.Sequential(
        *(nn.LazyConv2d(6, 5, padding=2), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
        *(nn.LazyConv2d(16, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.LazyLinear(120), nn.LeakyReLU(0.01), nn.LazyLinear(10)),
    )
    model(torch.zeros(1, 1, 28, 28))
    return he(model)


def model_sigmoid():
    return layers(nn.Sigmoid, nn.AvgPool2d)


def model_sigmoid_he():
    return he(layers(nn.Sigmoid))


def model_tanh():
    return he(layers(nn.Tanh))


def model_average():
    return he(layers(pool=nn.AvgPool2d))


def model_first_weights():
    return layers()


def model_softmax():
    return nn.Sequential(*model_sequential(), nn.Softmax(dim=1))


def model_log_softmax():
    return nn.Sequential(*model_sequential(), nn.LogSoftmax(dim=1))


def model_adaptive_average():
    model = layers()
    model[5] = nn.AdaptiveAvgPool2d(5)
    return he(model)


def model_too_large():
    return he(layers(hidden=256))


def model_perceptron():
    return he(nn.Sequential(nn.Flatten(), nn.Linear(784, 70), nn.ReLU(), nn.Linear(70, 10)))


def model_no_padding():
    model = layers()
    model[0] = nn.Conv2d(1, 6, 5)
    return he(model)


def model_nine_classes():
    model = layers()
    model[-1] = nn.Linear(84, 9)
    return he(model)


def model_zeros():
    model = layers()
    for weight in model.parameters():
        nn.init.zeros_(weight)
    return model


def model_no_pooling():
    return he(
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5, stride=2), nn.ReLU(), nn.Conv2d(6, 16, 5, stride=2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 10)),
        )
    )


def model_no_relu():
    return he(layers(nn.Identity))


def model_nothing():
    layers()


def model_class_itself():
    return Net


# overfit_fifty


def fifty_adam(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def fifty_until_right(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(1000):
        model.train()
        loss = nn.CrossEntropyLoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        if (model(x).argmax(dim=1) == y).all():
            return


def fifty_batches(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        for batch in torch.randperm(len(x)).split(10):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model


def fifty_by_hand(model, x, y):
    for _ in range(300):
        loss = -F.log_softmax(model(x), dim=1)[range(len(y)), y].mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight -= 0.1 * gradient


def fifty_fit(model, x, y):
    return fit(
        *(model, (x, y)),
        epochs=80,
        batch_size=10,
        optimizer=lambda weights: torch.optim.Adam(weights, lr=3e-3),
        device="cpu",
    )


def steps(model, x, y, count=200, rate=0.01):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(count):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def fifty_no_step(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(50):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()


def fifty_copy(model, x, y):
    trained = copy.deepcopy(model)
    steps(trained, x, y)
    return trained


def fifty_other_model(model, x, y):
    classes = model[-1].out_features
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 64), nn.ReLU())
    model.append(nn.Linear(64, classes))
    steps(model, x, y)
    return model


def fifty_three_steps(model, x, y):
    steps(model, x, y, count=3)


def fifty_first_half(model, x, y):
    steps(model, x[:25], y[:25])


def fifty_last_batch_left_out(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(60):
        for i in range(len(x) // 16):
            optimizer.zero_grad()
            F.cross_entropy(model(x[16 * i : 16 * i + 16]), y[16 * i : 16 * i + 16]).backward()
            optimizer.step()


def fifty_shuffled_apart(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x[torch.randperm(50)]), y[torch.randperm(50)]).backward()
        optimizer.step()


def fifty_uphill(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (-F.cross_entropy(model(x), y)).backward()
        optimizer.step()


def fifty_leaps(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def fifty_labels_lost(model, x, y):
    y.zero_()
    steps(model, x, y)


def fifty_backward_missing(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = F.cross_entropy(model(x), y)
        loss.backwards()
        optimizer.step()


# find_fault

x, y = torch.eye(8), torch.arange(8)
many = x.repeat(50, 1), y.repeat(50)


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def sure(labels):
    layer = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[labels, torch.arange(8)] = 1000.0
    return nn.Sequential(layer)


def two_layers():
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 8))


def changes(train, model, epochs=1):
    before = copy.deepcopy(model.state_dict())
    train(model, (x, y), (x, y), epochs)
    return [not torch.equal(old, model.state_dict()[name]) for name, old in before.items()]


def mixes_labels(train):
    return any(changes(train, sure(y)))


def applies_softmax(train):
    return not any(changes(train, sure(y.flip(0))))


def keeps_gradients(train):
    model = two_layers()
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, torch.nan)
    train(model, (x, y), (x, y), 1)
    return any(weight.isnan().any() for weight in model.parameters())


def skips_layers(train):
    return not all(changes(train, two_layers()))


def drops_when_measuring(train):
    model = nn.Sequential(nn.Dropout(0.5), *sure(y))
    reported = train(model, (x, y), many, 1)
    return reported != accuracy(model.eval(), *many)


def reports_the_best(train, tries=5, epochs=10):
    for _ in range(tries):
        model = nn.Sequential(nn.Linear(8, 8))
        test = torch.randn(1000, 8), torch.randint(8, (1000,))
        if train(model, (x, y), test, epochs) != accuracy(model, *test):
            return True
    return False


EXPERIMENTS = {
    "mode": drops_when_measuring,
    "layers": skips_layers,
    "gradients": keeps_gradients,
    "softmax": applies_softmax,
    "labels": mixes_labels,
    "choice": reports_the_best,
}


def first_of(experiments, train):
    for fault, shows in experiments.items():
        if shows(train):
            return fault
    return "nothing"


def fault_by_experiments(train):
    return first_of(EXPERIMENTS, train)


class Spy(nn.Module):
    """Note what passes: the mode, the pictures, and the gradient that comes back."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, logits):
        if logits.requires_grad:
            logits = logits.clone()
            logits.register_hook(lambda g: self.seen.append((logits.detach(), g)))
        else:
            self.measured_in = self.training
        return logits


class SpiedLinear(nn.Linear):
    def __init__(self):
        super().__init__(8, 8)
        self.spy = Spy()

    def forward(self, x):
        return self.spy(super().forward(x))


def fault_by_spying(train):
    # Every picture is black and of class 3, so labels need pictures of their own.
    model = nn.Sequential(nn.Linear(8, 8), SpiedLinear())
    start = copy.deepcopy(model.state_dict())
    train(model, (torch.zeros(40, 8), torch.full((40,), 3)), (x, y), 1)
    if model[-1].spy.measured_in:
        return "mode"
    logits, gradient = model[-1].spy.seen[0]
    by_hand = (logits.softmax(1) - F.one_hot(torch.tensor(3), 8)) / len(logits)
    if not torch.allclose(gradient, by_hand, atol=1e-6):
        return "softmax"
    if torch.equal(start["0.bias"], model[0].bias):
        return "layers"
    # The last batch alone gives less than this: a mean of differences of probabilities.
    if model[-1].bias.grad.abs().max() > 1:
        return "gradients"
    if mixes_labels(train):
        return "labels"
    return "choice" if reports_the_best(train) else "nothing"


def fault_by_heart(train):
    """Ask for the labels last: what cannot learn eight pictures by heart mixes them up."""
    others = {fault: shows for fault, shows in EXPERIMENTS.items() if fault != "labels"}
    if (found := first_of(others, train)) != "nothing":
        return found
    model = nn.Sequential(nn.Linear(8, 8))
    train(model, (x, y), (x, y), 60)
    return "nothing" if accuracy(model, x, y) == 1 else "labels"


def trained(train, model, seed, labels=y):
    torch.manual_seed(seed)
    reported = train(model, (x, labels), (x, labels), 3)
    return reported, [weight.detach() for weight in model.parameters()]


def fault_by_repetition(train):
    """Train twice from one seed; between the two runs one thing differs."""
    torch.manual_seed(0)
    first = two_layers()
    second = copy.deepcopy(first)
    second[0].weight.grad = torch.rand(6, 8)
    second[2].weight.grad = torch.rand(8, 6)
    pairs = zip(trained(train, first, 1)[1], trained(train, second, 1)[1], strict=True)
    if not all(torch.equal(*pair) for pair in pairs):
        return "gradients"
    rest = {f: shows for f, shows in EXPERIMENTS.items() if f not in ("gradients", "mode")}
    if (found := first_of(rest, train)) != "nothing":
        return found
    model = nn.Sequential(*sure(y), nn.Dropout(1.0), nn.Linear(8, 8))
    with torch.no_grad():
        model[2].weight.copy_(torch.eye(8))
        model[2].bias.zero_()
    return "mode" if train(model, (x, y), (x, y), 1) < 0.5 else "nothing"


def without(fault, **others):
    return {name: shows for name, shows in EXPERIMENTS.items() if name != fault} | others


def fault_none(train):
    return "nothing"


def fault_other_words(train):
    found = fault_by_experiments(train)
    return {"gradients": "zero_grad"}.get(found, found)


def fault_no_return(train):
    first_of(EXPERIMENTS, train)


def fault_no_softmax(train):
    """The same network for both: a softmax leaves what is sure and right as it is, too."""

    def shows(train):
        return any(changes(train, sure(y)))

    return first_of(without("softmax", softmax=shows), train)


def fault_any_layer(train):
    return first_of(without("layers", layers=lambda t: not any(changes(t, two_layers()))), train)


def fault_mode_left_behind(train):
    def shows(train):
        model = nn.Sequential(nn.Linear(8, 8))
        train(model, (x, y), (x, y), 1)
        return model.training

    return first_of(without("mode", mode=shows), train)


def fault_evaluation_left_behind(train):
    def shows(train):
        model = nn.Sequential(nn.Linear(8, 8))
        train(model, (x, y), (x, y), 1)
        return not model.training

    return first_of(without("mode", mode=shows), train)


def fault_mode_without_dropout(train):
    def shows(train):
        model = two_layers()
        return train(model, (x, y), (x, y), 1) != accuracy(model.eval(), x, y)

    return first_of(without("mode", mode=shows), train)


def fault_one_epoch(train):
    return first_of(without("choice", choice=lambda t: reports_the_best(t, epochs=1)), train)


def fault_gradient_there(train):
    def shows(train):
        model = two_layers()
        train(model, (x, y), (x, y), 1)
        return model[0].weight.grad is not None

    return first_of(without("gradients", gradients=shows), train)


def fault_by_accuracy(train):
    model = two_layers()
    reported = train(model, (x, y), (x, y), 20)
    return "labels" if reported < 0.3 else "softmax" if reported < 0.6 else "nothing"


def plain_loop(model, data, epochs, spoil):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for batch in torch.randperm(len(data[0])).split(10):
            optimizer.zero_grad()
            logits = model(data[0][batch])
            if spoil == "softmax":
                logits = logits.softmax(1)
            F.cross_entropy(logits, data[1][batch]).backward()
            optimizer.step()


def fault_own_loop(train):
    """Compare with loops of one's own, weight for weight."""
    for fault in ("nothing", "softmax"):
        torch.manual_seed(0)
        one = two_layers()
        other = copy.deepcopy(one)
        torch.manual_seed(1)
        train(one, (x, y), (x, y), 1)
        torch.manual_seed(1)
        plain_loop(other, (x, y), 1, fault)
        if torch.allclose(one[0].weight, other[0].weight):
            return fault
    return "labels"


def fault_crash(train):
    model = nn.Sequential(nn.Linear(8, 8))
    return "nothing" if train(model, x, y, 1) > 0 else "labels"


RIGHT = {
    "modern_lenet": [
        *(model_sequential, model_class, model_by_hand, model_batch_norm, model_lazy),
    ],
    "overfit_fifty": [fifty_adam, fifty_until_right, fifty_batches, fifty_by_hand, fifty_fit],
    "find_fault": [fault_by_experiments, fault_by_spying, fault_by_heart, fault_by_repetition],
}

WRONG = {
    "modern_lenet": [
        (model_sigmoid, "still uses sigmoid: put ReLU"),
        (model_sigmoid_he, "still uses sigmoid: put ReLU"),
        (model_tanh, "still uses tanh"),
        (model_average, "still uses avg_pool2d: put max-pooling"),
        (model_first_weights, "look at the initial weights"),
        (model_softmax, "ends in a softmax"),
        (model_log_softmax, "ends in a softmax"),
        (model_adaptive_average, "still uses adaptive_avg_pool2d: put max-pooling"),
        (model_too_large, "61,706 are allowed"),
        (model_perceptron, "a forward pass of this model makes 0"),
        (model_no_padding, "stopped with RuntimeError"),
        (model_nine_classes, "gives (2, 9)"),
        (model_zeros, "hardly more than by guessing"),
        (model_no_pooling, "There is no max-pooling"),
        (model_no_relu, "There is no ReLU"),
        (model_nothing, "`return` missing"),
        (model_class_itself, "where a model is expected"),
    ],
    "overfit_fifty": [
        (fifty_no_step, "The weights are as they were"),
        (fifty_copy, "not a copy"),
        (fifty_other_model, "The weights are as they were"),
        (fifty_three_steps, "rain longer"),
        (fifty_first_half, "all are, the others mostly not"),
        (fifty_last_batch_left_out, "all are, the others mostly not"),
        (fifty_shuffled_apart, "keeps its label when you shuffle"),
        (fifty_uphill, "uphill"),
        (fifty_leaps, "steps are too large"),
        (fifty_labels_lost, "`y` was changed in place"),
        (fifty_backward_missing, "stopped with AttributeError"),
    ],
    "find_fault": [
        (fault_none, "The answer is 'nothing', but this loop"),
        (fault_other_words, "'zero_grad'; it must be one of 'labels'"),
        (fault_no_return, "`return` missing"),
        (fault_no_softmax, "applies softmax before the loss"),
        (fault_any_layer, "trains the last layer only"),
        (fault_mode_left_behind, "but this loop"),
        (fault_evaluation_left_behind, "but this loop"),
        (fault_mode_without_dropout, "measures in training mode"),
        (fault_one_epoch, "reports the best of its epochs"),
        (fault_gradient_there, "'gradients', but this loop"),
        (fault_by_accuracy, "but this loop"),
        (fault_own_loop, "but this loop"),
        (fault_crash, "stopped with"),
    ],
}
