# ---
# jupyter:
#   attention_book:
#     kind: chapter
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: attention_book
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Instance enhancement batch normalization (IEBN)
#
# :::{admonition} A gate inside the norm, or a smaller gain?
# :class: question
#
# IEBN multiplies the scale of each batch norm by a gate, computed from the image. Scale times gate is the *gain*.
#
# **At first it is a smaller gain.** A fresh gate is 0.269 for every image, and in three of the seven norms of this
# chapter's network this constant does nothing to the output: the next norm divides it out.
#
# **After training, still nearly so.** In the blocks of the trained network a gate varies over the images by less than
# 8 % of its size. With the gates of another image the network loses less than 10 points of accuracy, with gates of twice
# the size more than 20.
#
# **On CIFAR-10** three seeds tell IEBN neither from a plain batch norm nor from one whose output is multiplied by
# 0.269: it is 0.58 points above the first and 0.43 below the second, with intervals of about 4 points to either side.
# :::
#
# :::{mechanism}
# :name: iebn-mechanism
#
# ![Where IEBN sits in a residual block](../../book/figures/iebn-block.svg)
# ![A gate of the image's own mean, inside the norm of the batch](../../book/figures/iebn-steps.svg)
#
# Where IEBN sits in a residual block, and what it does to four channels of one image.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`iebn`; known second-hand: an extract and the abstract. The code was read, the main tables not.
# **You need:** [SE](se.ipynb), batch norm in training and in evaluation, SGD. **Time:** half an hour.
#
# Afterwards you can say what of a batch norm's noise a gate can change; where in a network a constant gain counts,
# and how fast it learns; and which control tells a gate from a gain. Symbols are those of the [notation
# page](../../book/notation.md), with $w, b$ for weight and bias of the gate.
# :::

# %% mystnb={"code_prompt_show": "Install attnlib where it is missing"} tags=["hide-cell"]
# Where attnlib is missing (Colab, a bare kernel), this installs it.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "../..[chapters]"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.results import costs, measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("iebn")

# %% [markdown]
# ## The idea
#
# In training, a {term}`batch norm <batch normalization>` subtracts the mean of the *batch* and divides by the deviation
# of the *batch*. So what comes out for one image depends on the images that happen to be beside it. This noise is not
# only bad, as it keeps a network from relying on details; but one would like to say how much of it there is. Instance
# enhancement batch normalization gives each image a say of its own. The mean of a channel *in this image* goes through
# a sigmoid, with one weight and one bias for the channel, and the result multiplies the norm's scale.
#
# It is the smallest gate there can be: each channel looks at its own mean alone, through two numbers. And it is
# hidden in a layer that every network has. This makes it cheap; and it makes one thing hard to see. A norm has a
# scale already. If the gate were the same for every image, it would be nothing but a smaller scale. So: is it the
# gate that works here, or the scale?
#
# ## Derivation
#
# Let $x$ be the map that a convolution puts out, $x_{nc}$ its channel $c$ for the image $n$ of a batch.
#
# **Average.** As in [SE](se.ipynb), but *before* the norm, so that the mean is the image's own and not the batch's:
#
# $$z_{nc} = \frac{1}{HW} \sum_{i,j} x_{nc}(i, j).$$ (iebn-mean)
#
# **Gate.** No channel hears of another one:
#
# $$g_{nc} = \sigma(w_c\, z_{nc} + b_c).$$ (iebn-gate)
#
# **Norm.** In training with mean and variance of the batch, in evaluation with the running ones:
#
# $$\hat x_{nc} = \frac{x_{nc} - \mu_c}{\sqrt{\nu_c + \varepsilon}}.$$ (iebn-norm)
#
# **Gain.** Scale and gate together are the gain of this channel in this image; the shift is not gated:
#
# $$y_{nc} = \gamma_c\, g_{nc}\, \hat x_{nc} + \beta_c.$$ (iebn-output)
#
# So there are four parameters a channel, two more than in a batch norm: $P = 2C$ are added.
#
# **At the start** $w = 0$ and $b = -1$: every gate is $\sigma(-1) = 0.269$. IEBN is then a batch norm with the scale
# 0.269, for every image, in training and in evaluation.
#
# ### What the gate can do about the noise
#
# Hold an image and change the others in its batch. $\mu_c$ and $\nu_c$ change; $g_{nc}$ does not, as it is made of
# the image alone. So by {eq}`iebn-output` the output moves by $\gamma_c g_{nc}$ times what $\hat x_{nc}$ moves. With
# $\operatorname{dev}$ for the deviation over batches,
#
# $$\operatorname{dev}(y_{nc}) = |\gamma_c|\, g_{nc} \operatorname{dev}(\hat x_{nc}).$$ (iebn-noise)
#
# The gate does regulate the noise, as the title of the paper says. But it multiplies the signal $\hat x_{nc}$ by the
# same number: within a channel of an image, the ratio of signal and noise is what it was. What the gate can do is to
# weigh images and channels against each other, as any channel gate does. In evaluation the running mean and variance
# take the place of the batch's: the noise is gone, and the gate, which never used the batch, is the same.
#
# ### What a constant gain does
#
# Suppose that the gate does not depend on the image: $w = 0$. Then the norm has the gain $a = \gamma\,\sigma(b)$.
#
# **In the output**, it depends on who reads it. Inside a branch, the reader is a ReLU and a convolution with a norm
# behind it. With shifts of zero, all three pass the factor on, and the next norm divides it out, but for
# $\varepsilon$: this gain does *nothing*. Only where the output is added to a shortcut does a gain count, since there
# it weighs the branch against the shortcut.
#
# **In training**, two parameters move one gain. Let $\bar a$ be its gradient. The chain rule gives
#
# $$\begin{aligned} \bar\gamma &= g\,\bar a, \\ \bar b &= \gamma\, g (1 - g)\, \bar a, \end{aligned}$$ (iebn-gradients)
#
# with $g = \sigma(b)$. A small step of SGD with the rate $\eta$ moves $\gamma$ by $-\eta \bar\gamma$ and $b$ by
# $-\eta \bar b$, and so the gain by
#
# $$\begin{aligned} \Delta a = {} & {-\eta}\,\bar a\; g^2 \\ & \cdot \bigl(1 + \gamma^2 (1 - g)^2\bigr). \end{aligned}$$ (iebn-pace)
#
# In a plain batch norm it is $-\eta\,\bar a$. At the start, with $\gamma = 1$ and $g = 0.269$, the factor is 0.111:
# the gain learns at a ninth of the pace. So a constant gate is a smaller gain and a *slower* one. The control for
# IEBN is therefore a norm whose output is multiplied by 0.269.
#
# ## The module from scratch


# %%
class IEBN(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))
        self.w = nn.Parameter(torch.zeros(channels, 1, 1))
        self.b = nn.Parameter(torch.full((channels, 1, 1), -1.0))

    def forward(self, x):
        # z = 1 / (H W) sum_ij x(i, j)
        z = x.mean((2, 3), keepdim=True)
        # g = sigmoid(w z + b)
        gate = torch.sigmoid(self.w * z + self.b)
        # y = gamma g (x - mu) / sqrt(nu + eps) + beta
        return self.gamma * gate * self.norm(x) + self.beta


# %% [markdown]
# ## It is right
#
# In double precision, on a batch of three images with 4 channels of 9 by 7 pixels, all parameters drawn at random.
# The loops know nothing of tensors.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def loops(batch, gammas, betas, ws, bs):
    """A batch as nested lists [N][C][pixels], in training mode."""
    output = [[None] * len(gammas) for _ in batch]
    for c, of_it in enumerate(zip(gammas, betas, ws, bs)):
        gamma, beta, w, b = of_it
        pixels = [v for image in batch for v in image[c]]
        mu = sum(pixels) / len(pixels)
        nu = sum((v - mu) ** 2 for v in pixels) / len(pixels)
        for n, image in enumerate(batch):
            z = sum(image[c]) / len(image[c])
            gain = gamma / (1 + math.exp(-w * z - b))
            gain /= math.sqrt(nu + 1e-5)
            output[n][c] = [gain * (v - mu) + beta for v in image[c]]
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = 1 + 2 * torch.randn(3, 4, 9, 7, dtype=torch.float64)
scratch, library = IEBN(4).double(), attnlib.create("iebn", 4).double()
for parameter in scratch.parameters():
    nn.init.normal_(parameter)
theirs = library.norm.weight, library.norm.bias, library.gate_scale
for own, other in zip(scratch.parameters(), (*theirs, library.gate_shift)):
    other.data = own.data.flatten()
lists = [own.flatten().tolist() for own in scratch.parameters()]
by_loops = loops(x.flatten(2).tolist(), *lists)
check("from scratch = loops", scratch(x).flatten(2), by_loops, atol=1e-12)
check("attnlib = loops", library(x).flatten(2), by_loops, atol=1e-12)
check(
    "in evaluation, too", library.eval()(x), scratch.eval()(x), atol=1e-12
)

# %% [markdown]
# The noise {eq}`iebn-noise`: one image in fifty batches, each with three other images. And {eq}`iebn-pace`: a small
# step of SGD on an IEBN with $w = 0$, and on a batch norm with the same gain.

# %% tags=["nbval-check-output"]
library.train()
image = x[:1]
outputs, normalised = [], []
for _ in range(50):
    batch = torch.cat([image, 3 * torch.randn(3, 4, 9, 7).double()])
    outputs.append(library(batch)[0].detach())
    normalised.append(
        nn.functional.batch_norm(batch, None, None, training=True)[0]
    )
gain = library.norm.weight[:, None, None].abs() * library.gate(image)[0]
noise = torch.stack(normalised).std(0)
check("noise", torch.stack(outputs).std(0), gain * noise, atol=1e-12)

# %% tags=["nbval-check-output"]
fresh, rate = IEBN(4).double(), 1e-6
a = torch.full((4, 1, 1), 1 / (1 + math.e), dtype=torch.float64)
a.requires_grad_(True)  # the gain of a plain norm
fresh(x).pow(3).sum().backward()
(a * fresh.norm(x)).pow(3).sum().backward()
with torch.no_grad():
    gamma = fresh.gamma - rate * fresh.gamma.grad
    b = fresh.b - rate * fresh.b.grad
    pace = (gamma * torch.sigmoid(b) - a) / (-rate * a.grad)
    g = a
    derived = g**2 * (1 + (1 - g) ** 2)
check("pace of the gain", pace, derived, atol=1e-4)
check("derived pace", derived.round(decimals=3), torch.full_like(g, 0.111))

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# At which gate does the gain learn at half the pace of a plain norm? Say a number; then change `bias` until the pace
# is 0.5.
# :::

# %%
bias = -1.0
g = 1 / (1 + math.exp(-bias))
print(f"gate {g:.3f}: pace {g**2 * (1 + (1 - g) ** 2):.3f}")

# %% [markdown]
# And where does a gain count? Take a fresh network and open all gates inside the branches, from 0.269 to 1. Then open
# the others.

# %%
torch.manual_seed(0)
network, inputs = create("resnet8", 10, "iebn"), torch.randn(64, 3, 32, 32)
iebns = attention_modules(network)
inside = [path for path in iebns if path.endswith(".0.bn1")]


def opened(paths):
    """The logits with gates of one at these places."""
    for path, iebn in iebns.items():
        nn.init.constant_(iebn.gate_shift, 20.0 if path in paths else -1.0)
    with torch.no_grad():
        return network(inputs)


as_built = opened([])
unmoved = (opened(inside) - as_built).abs().max()
moved = (opened([*iebns]) - as_built).abs().max()
finding("three of the seven", (len(inside), len(iebns)) == (3, 7))
finding("no output changes by more than 0.001", unmoved < 0.001)
finding("change by more than 0.1", moved > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In a fresh network three of the seven norms stand inside a branch: their gates can be opened, and no output changes
# by more than 0.001. With all seven open, outputs change by more than 0.1.
# :::
#
# ## What it costs
#
# IEBN takes the place of every batch norm but those of the shortcuts. Counted in ResNet-20 and, as in the released
# code, ResNet-164 on CIFAR-10, beside SE, which sits once in a block (*one by one* as in [SE's chapter](se.ipynb)),
# and timed on two CPU cores:

# %% mystnb={"code_prompt_show": "Read what was counted and measured"} tags=["nbval-check-output", "hide-input"]
counted = costs().set_index(["network", "module"]).sort_index()
rows = []
for network_name in ("resnet20", "resnet164"):
    of_it = counted.loc[network_name, ["parameters", "elementwise"]]
    for key in ("se", "iebn"):
        number, work = of_it.loc[key] - of_it.loc["none"]
        rows.append([f"{key} to {network_name}", int(number), work / 1e6])
columns = ["added by", "parameters", "one by one (M)"]
added = pd.DataFrame(rows, columns=columns)
se_20, iebn_20, se_164, iebn_164 = added.iloc[:, 1:].to_numpy()
steps = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (steps.set_index("attention")["ratio"] - 1)
gained = "constant(placement=*bn?, value=0.2689414213699951)"
macs = counted.loc["resnet20", "macs"]
finding(
    "1,376 parameters to ResNet-20 and 24,224", iebn_20[0], iebn_164[0]
)
finding("SE adds 2,373 and 202,104", se_20[0], se_164[0])
finding("not one multiply-add", macs["iebn"] == macs["none"])
finding("15.1 % longer, with SE 13.8 %", longer["iebn"], longer["se"])
finding("with the constant gain 6.0 %", longer[gained])
plots.table(added, "What SE and IEBN add", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# IEBN adds 1,376 parameters to ResNet-20 and 24,224 to ResNet-164, where SE adds 2,373 and 202,104; and not one
# multiply-add. A training step of ResNet-20 takes 15.1 % longer, with SE 13.8 %, with the constant gain 6.0 %.
# :::
#
# ## Does it train, does it help?
#
# ### Live, on generated shapes
#
# A small ResNet with IEBN in the place of its seven norms, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on
# CIFAR-10, for thirty epochs and the records.

# %%
trained = train(chapter_recipe("iebn", seed=0))
if lane() == "full":
    store(trained.record)
else:
    finding("more than 30 %", trained.record.final.accuracy > 0.3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 30 % of the test images, three times as many as chance.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test
# images. The control has plain batch norms, and behind each a constant factor of 0.269: the gain that IEBN starts
# with. (There it multiplies the shift, too, which IEBN's gate does not.)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point: no module, the constant gain of 0.269, IEBN and SE; the points of all rows overlap."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. All rows overlap.", "name": "iebn-cifar"}} tags=["hide-input"]
names = ("none", gained, "iebn", "se")
runs = [r for label in names for r in records("cifar10-slice", label)]
plots.accuracies(runs)
row = {r.label: r for r in attnlib.report(runs, baseline="iebn").rows}
iebn, plain, same, se = (row[k] for k in ("iebn", "none", gained, "se"))
finding("three seeds, 50.62 % with IEBN", iebn.mean, len(iebn.seeds) == 3)
finding("0.58 points above no module", -plain.difference)
finding("interval -3.90 to 5.06", *sorted(-end for end in plain.student))
finding("0.43 below the constant gain", same.difference)
finding("-3.92 to 4.78", *same.student)
finding("1.69 below SE (-2.79 to 6.17)", se.difference, *se.student)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over three seeds, 50.62 % with IEBN: 0.58 points above no module (95 % interval -3.90 to 5.06), 0.43 below the
# constant gain (difference -3.92 to 4.78), and 1.69 below SE (-2.79 to 6.17). Each interval holds zero, and is wide:
# these runs tell IEBN from none of the three. Whoever takes IEBN for its accuracy has to show that a smaller gain does
# not do the same.
# :::
#
# ## Look inside
#
# ### Do the gates look at the image?
#
# A thousand fresh images go through the live network. A gate has a mean over the images, and a deviation.
# {numref}`iebn-gates` shows the second in per cent of the first, for every channel of every norm: 0 is a constant
# gain.

# %%
images, labels, _ = generate(1000, seed=7)
labels = torch.tensor(labels)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="iebn"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
with (
    torch.no_grad(),
    plots.captured(model, lambda iebn, x: iebn.gate(x)) as gates,
):
    own = 100 * (model(inputs).argmax(1) == labels).double().mean()
varied = {p: 100 * g.std(0) / g.mean(0) for p, g in gates.items()}
typical = [each.mean().item() for each in varied.values()]

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Points for all channels of seven norms. In the first norm gates vary over the images by ten per cent and more; in the six others nearly all by less than five."}, "figure": {"caption": "Deviation of a gate over 1,000 images, in per cent of its mean: a point for each channel, a line at the mean of the norm. Zero would be a constant gain.", "name": "iebn-gates"}} tags=["hide-input"]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.8))
for at, each in enumerate(varied.values()):
    places = torch.linspace(at - 0.3, at + 0.3, each.numel())
    style = plots.look("iebn").points(ls="", ms=4)
    axis.plot(places, each.flatten(), **style)
    axis.hlines(each.mean(), at - 0.4, at + 0.4, color=plots.INK)
short = ["first", *(f"{n}.{k}" for n in (1, 2, 3) for k in (1, 2))]
axis.set_xticks(range(7), short)
axis.set(xlabel="norm: block and place", ylabel="deviation (%)")
means = [gate.mean().item() for gate in gates.values()]
finding("less than 8 % in all six norms", max(typical[1:]) < 8)
finding("more than in any", typical[0] > max(typical[1:]))
finding("between 0.25 and 0.4", min(means) > 0.25, max(means) < 0.4)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the blocks a gate varies over the images by less than 8 % in all six norms, on the average of the channels; in
# the first norm by more than in any of these. And it stays near its start: the mean gate of each norm is between 0.25
# and 0.4.
# :::
#
# ### What the network does with them
#
# As in [SE's chapter](se.ipynb): exchange the gates, train nothing, and see what the network loses. Here are the
# *average* gates, with which IEBN is a batch norm with another scale; the gates of *another* image; and gates that
# are all *doubled*, to see whether the size matters. The last column is the noise: how far the logits of 16 images
# move when the 16 others of their batch are drawn anew, in per cent of how far they differ between images. It is
# measured in training mode, with the running statistics held.


# %% mystnb={"code_prompt_show": "Exchange the gates, and measure the noise"} tags=["hide-input"]
average = {path: gate.mean(0) for path, gate in gates.items()}


def exchanged(exchange):
    """Hooks that put other gates in the place of each IEBN's own."""

    def hook(path):
        def put(iebn, args, output):
            g, shift = iebn.gate(args[0]), iebn.norm.bias.view(-1, 1, 1)
            return (output - shift) / g * exchange(path, g) + shift

        return put

    iebns = attention_modules(model).items()
    return [iebn.register_forward_hook(hook(p)) for p, iebn in iebns]


@torch.no_grad()
def judged(exchange):
    """Points of accuracy lost, and the noise in per cent."""
    hooks = exchanged(exchange)
    right = (model.eval()(inputs).argmax(1) == labels).double().mean()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # running statistics stay
    torch.manual_seed(0)
    draws = [16 + torch.randperm(984)[:16] for _ in range(16)]
    model.train()
    held = [model(torch.cat([inputs[:16], inputs[d]]))[:16] for d in draws]
    held = torch.stack(held)
    for norm, momentum in zip(norms, before):
        norm.momentum = momentum
    for hook in hooks:
        hook.remove()
    model.eval()
    noise = (
        held.std(0).square().mean() / held.mean(0).std(0).square().mean()
    )
    return (own - 100 * right).item(), 100 * noise.sqrt().item()


# %%
exchanges = {
    "own": lambda path, g: g,
    "average": lambda path, g: average[path],
    "another image's": lambda path, g: g.roll(1, 0),
    "doubled": lambda path, g: 2 * g,
}
found = [[gate, *judged(f)] for gate, f in exchanges.items()]
columns = ["gates", "points lost", "noise (%)"]
found = pd.DataFrame(found, columns=columns)
_, of_average, of_another, of_doubled = found["points lost"]
_, with_average, with_another, with_double = found["noise (%)"]
finding("less than 10 points", max(of_average, of_another) < 10)
finding("more than 20", of_doubled > 20)
close = [
    0.8 < each / found["noise (%)"][0] < 1.25 for each in (with_average,)
]
finding("within a quarter", *close)
plots.table(found, "What other gates do to the live network", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With average gates, and with those of another image, the network loses less than 10 points; with gates of twice the
# size more than 20. It uses the size of its gates, and hardly what they know of the image. A batch norm with scales of
# these sizes would have done nearly as well. And the noise is the same, within a quarter, when the gates become
# constants: it is not they that regulate it.
# :::
#
# :::{admonition} Try it
# :class: try-it
# If size matters and images do not: what does the network lose with gates that are all 0.269, as at the start? More or
# less than with average gates, which differ from channel to channel? Predict, then run.
# :::

# %%
value = 0.269
print(f"{judged(lambda path, g: value)[0]:.1f} points lost")

# %% [markdown]
# ## What holds
#
# Code judges what is claimed of IEBN: the claims that matter most, the unkind ones first. All others are in [the
# ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """every-norm accuracy-cifar100 layers-resnet164 scaled-batch-norm
    own-image evaluation parameters-resnet164"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# ## Quiz
#
# ```{quiz} In training, what of IEBN's output for an image depends on the other images of the batch?
# - [ ] The gate.
#
#   It is computed from the image's own mean, before the norm.
# - [x] The normalised map, and through it the output.
#
#   Mean and variance are the batch's. The gate multiplies what comes of it.
# - [ ] Nothing: this is what IEBN is for.
#
#   The noise of the norm is still there, times the gate.
# ```
#
# ```{quiz} A gate of 0.1 stands in one channel of one image. What happens to the ratio of signal and batch noise there?
# - [ ] It becomes ten times as large.
#
#   The noise is a tenth, and so is the signal.
# - [x] It stays.
#
#   Both are multiplied by the same number.
# - [ ] It becomes a hundred times as large.
#
#   Squares of both have the factor 0.01.
# ```
#
# ```{quiz} All gates are one half, whatever the image. Where in a fresh ResNet does it change the output?
# - [ ] In every norm.
#
#   Inside a branch the next norm divides the factor out.
# - [x] Where the output of the norm is added to a shortcut, or is the shortcut itself.
#
#   There it weighs what is added.
# - [ ] In the first norm of each branch.
#
#   ReLU and convolution pass the factor on, and the second norm takes it away.
# ```
#
# ```{quiz} Scale times sigmoid of a bias is one number for each channel. Why is it not the same as a scale alone?
# - [ ] It is a different function.
#
#   It is not: for each scale and bias there is a scale alone with the same output.
# - [x] It learns at another pace.
#
#   A step on both moves the gain by another amount than a step on the scale alone.
# - [ ] It cannot be negative.
#
#   It can: the scale may be negative.
# ```
#
# ```{quiz} Gates of another image cost a trained network hardly any accuracy. What follows?
# - [ ] The gates do not depend on the image.
#
#   They may; what was found is that it does not matter to the network.
# - [ ] IEBN can be taken out.
#
#   Gates of the wrong size do cost accuracy. What can go is their dependence on the image.
# - [x] What the network uses is the size of the gates, not what they know of the image.
#
#   A plain norm could have learned that size.
# ```
#
# ## Exercises
#
# ````{exercise} What IEBN adds
# :label: iebn-exercise-parameters
#
# *Easy, 5 minutes.* ResNet-20 for CIFAR has a norm behind its first convolution, with 16 channels, and two in each of
# three blocks at 16, 32 and 64 channels. How many parameters does IEBN add?
#
# :::{dropdown} Hint
# Seven norms have 16 channels.
# :::
# ````

# %%
exercises.answer("iebn-exercise-parameters", ...)  # your answer

# %% [markdown]
# ````{solution-start} iebn-exercise-parameters
# :class: dropdown
# ````
#
# Two for each channel of each norm. The norms of the two shortcuts that change the width stay as they are.

# %%
channels = 7 * 16 + 6 * 32 + 6 * 64
print(2 * channels)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [channels, 2 * (channels + 32 + 64)]
exercises.try_judge(
    "iebn-exercise-parameters", right=2 * channels, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Without the gate
# :label: iebn-exercise-fold
#
# *Easy, 5 minutes.* Suppose that training has left all $w = 0$. Write `fold(scale, bias)`, which takes the norm's
# scale $\gamma$ and the gate's bias $b$, and returns the scale of a plain batch norm that computes the same.
#
# :::{dropdown} Hint
# The shift is not gated.
# :::
# ````

# %%
exercises.answer("iebn-exercise-fold", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} iebn-exercise-fold
# :class: dropdown
# ````
#
# The gain of {eq}`iebn-output` with a constant gate. Running mean and variance are the same in both.


# %%
def fold(scale, bias):
    return scale * torch.sigmoid(bias)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda scale, bias: scale * bias,
    lambda scale, bias: torch.sigmoid(scale * bias),
]
exercises.try_judge("iebn-exercise-fold", right=fold, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The pace of a gain
# :label: iebn-exercise-pace
#
# *Medium, 10 minutes.* Derive {eq}`iebn-pace` from {eq}`iebn-gradients`, and compute the factor for $\gamma = 1$ and
# $b = -1$, to three decimals.
#
# :::{dropdown} Hint
# To first order $\Delta a = g\, \Delta\gamma + \gamma\, g (1 - g)\, \Delta b$.
# :::
# ````

# %%
exercises.answer("iebn-exercise-pace", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} iebn-exercise-pace
# :class: dropdown
# ````
#
# Each of the two derivatives enters twice: once in the gradient, once in what the step does to the gain. The sum of
# their squares is $g^2 + \gamma^2 g^2 (1 - g)^2$. As a gate opens, the factor rises towards 1.

# %%
first = 1 / (1 + math.e)  # sigmoid(-1)
factor = first**2 * (1 + (1 - first) ** 2)
print(f"{factor:.3f}")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [first, first**2, first**2 * (1 - first) ** 2]
exercises.try_judge("iebn-exercise-pace", right=factor, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Another start
# :label: iebn-exercise-start
#
# *Research, 60 minutes.* If what matters is the gain, its start should matter too. Train IEBN by the recipe `smoke`
# from five seeds with gates that start at 0.9, beside those that start at 0.269, and both beside plain norms. Which
# differences leave zero outside their interval? To begin with: which $b$ gives 0.9, to one decimal?
#
# :::{dropdown} Hint
# The logit of $g$ is $\ln(g / (1 - g))$. Derive a class from `attnlib.scale_attention.IEBN`, or set `gate_shift`
# after `create`.
# :::
# ````

# %%
exercises.answer("iebn-exercise-start", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} iebn-exercise-start
# :class: dropdown
# ````
#
# $\ln 9$. The rest is an experiment, and yours: pair the runs by their seeds, and say the interval, whatever comes
# out.

# %%
shift = math.log(0.9 / 0.1)
print(f"{shift:.1f}")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("iebn-exercise-start", right=shift, wrong=[0.9, -2.2])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. IEBN multiplies a batch norm's scale by a sigmoid of the image's own channel mean, with two parameters a channel.
# 2. It multiplies the noise of the batch and the signal by the same number, within a channel of an image.
# 3. A constant gate is a smaller gain that learns more slowly, a ninth of the pace at the start.
# 4. Inside a branch the next norm divides a gain out. It counts where the output meets the shortcut.
# 5. The control for a gate inside a norm is a norm with the same constant gain. Here three seeds do not tell them
#    apart.
# :::
#
# ## Further reading
#
# * Batch normalisation {cite}`batch_norm`. [SE](se.ipynb) gates behind the norm, and lets every gate see all means.
# * [NAM](nam.ipynb) reads a norm's scale as a weight; [SA](sa.ipynb) gates half of its channels by their own means,
#   as IEBN does.
