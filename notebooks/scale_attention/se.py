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
# # Squeeze-and-Excitation (SE)
#
# :::{admonition} Do the gates know the class, and do they beat a constant?
# :class: question
#
# **They come to know it.** In the last block of a small network more than 75 % of the gates' variance lies between
# classes. But the channel means that the gates are computed from know the class as well.
#
# **The network hardly needs it there.** Average gates in that last block cost it less than 4 points of accuracy. The gates
# of another image in all blocks cost it more than 6.
#
# **They are not shown to beat a constant** in this book's short runs on CIFAR-10. SE is better than no module on all eight
# seeds; gates that are one half for every image are better than SE on seven of them, by 1.16 points in the mean.
# :::
#
# :::{mechanism}
# :name: se-mechanism
#
# ![Where SE sits in a residual block](../../book/figures/se-block.svg)
# ![Squeeze, excite, scale, for four channels](../../book/figures/se-steps.svg)
#
# Where SE sits in a residual block, and what it does to four channels of one image.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`se`; read in its journal version (arXiv 1709.01507v4), with the released networks.
# **You need:** convolution, batch norm, the chain rule. **Time:** half an hour.
#
# Afterwards you can derive the gate, its gradient and its size, and write the module in ten lines; say what SE costs in
# parameters, in multiply-adds and in time, and why these are three answers; and test whether a gate does more than a
# constant does. Symbols are those of the [notation page](../../book/notation.md).
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
from attnlib.data.shapes import CLASSES, generate
from attnlib.networks import attention_modules
from attnlib.results import costs, measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("se")

# %% [markdown]
# ## The idea
#
# A convolution adds its input channels with weights that are the same for every image. Some channels matter for this
# image and some do not, but the sum cannot know: it sees a small window, and what an image is about shows only in the
# whole of it. Squeeze-and-Excitation lets the whole image speak. It **squeezes** each channel to one number, its mean
# over the map. It lets a small network look at all these numbers together and answer with one number between 0 and 1
# for each channel, its {term}`gate`: the **excitation**. And it **scales** each channel by its answer.
#
# Nothing is added and nothing moves: the output is the input with every channel turned down by some factor. This makes
# the block easy to put anywhere, and easy to look at: the gates are $C$ numbers per image. It also makes it easy to
# doubt. If the factors were the same for every image, the block would be a constant, and no attention at all. So this
# chapter keeps asking one thing: what do these numbers know that a constant does not?
#
# ## Derivation
#
# Let $x$ be the map that the last batch norm of a residual branch puts out, with $C$ channels of $H \times W$ pixels.
#
# **Squeeze.** One number has to stand for the whole map of a channel. The mean gives every pixel the same say, wherever it
# is, and passes the same gradient to each:
#
# $$z_c = \frac{1}{HW} \sum_{i=1}^{H} \sum_{j=1}^{W} x_c(i, j).$$ (se-squeeze)
#
# There is more to it, which the paper does not mention. In training, the batch norm before the block gives channel $c$
# the mean $\beta_c$ over the batch and over all pixels, so that over the $N$ images of a batch
#
# $$\frac{1}{N} \sum_{n=1}^{N} z_{nc} = \beta_c.$$ (se-mean-of-means)
#
# The difference $z_{nc} - \beta_c$ is what sets *this* image apart from its batch: that is what the gates can react to.
#
# **Excitation.** A gate should know of the other channels, so a layer has to look at all of $z$. One square matrix would
# have $C^2$ weights. Two thin ones, through $C / r$ hidden units, have $2 C^2 / r$ and a ReLU $\delta$ between them:
#
# $$h = W_1 z + b_1,$$ (se-hidden)
#
# $$s = W_2\, \delta(h) + b_2.$$ (se-logits)
#
# Here $W_1$ is $C/r \times C$, $W_2$ is $C \times C/r$, and $r$ is the *reduction*, 16 in the paper. Its equation has no
# biases; the released networks have them, so they are written here.
#
# **Gate.** Many channels may matter at once, so the gates must not compete for a sum of one, as they would under a
# softmax. Each has its own sigmoid:
#
# $$g_c = \sigma(s_c) = \frac{1}{1 + e^{-s_c}}.$$ (se-gate)
#
# A gate can turn a channel down, and never blow it up. Where the logits are near zero, as they are at the start of
# training, every gate is near $\sigma(0) = \tfrac12$: a fresh SE block halves its branch. This is the constant that SE
# has to beat: the {term}`control` of this chapter, and of most chapters after it.
#
# **Scale.** Each channel is multiplied by its gate:
#
# $$y_c(i, j) = g_c\, x_c(i, j).$$ (se-scale)
#
# **Why before the addition?** Behind the addition, the gates would act on the shortcut as well. Through 16 blocks with
# gates of one half the input of the first would reach the last with a factor of $2^{-16} = 0.000015$. On the branch, as
# in the figure, the shortcut keeps its factor of one. The paper tried it (its Table 14): 22.28 % error with the block
# before the addition, 22.78 % behind it.
#
# **Parameters.** Two matrices, and one bias for each unit where there are biases. With
# $m = \lfloor C / r \rfloor$ hidden units,
#
# $$P = 2\,C\,m \;[\, + C + m \,].$$ (se-parameters)
#
# **Gradient.** Let $\bar y$ be $\partial L / \partial y$, and write a bar over every other quantity in the same way. The map
# takes part in {eq}`se-scale` twice, as the factor $x_c$ and inside the gates. Backwards, step by step:
#
# $$\bar g_c = \sum_{i,j} \bar y_c(i, j)\, x_c(i, j)$$ (se-back-gate)
#
# since $g_c$ multiplies all pixels of its channel. The sigmoid has the slope $g(1 - g)$, so that
#
# $$\bar s_c = g_c\,(1 - g_c)\, \bar g_c,$$ (se-back-logits)
#
# and the two layers pass it on by their transposed matrices, through the units that are on:
#
# $$\bar h = [h > 0] \odot W_2^{\top} \bar s,$$ (se-back-hidden)
#
# $$\bar z = W_1^{\top} \bar h.$$ (se-back-squeeze)
#
# Each pixel has the share $1 / HW$ in its channel's mean. The two ways add up to
#
# $$\bar x_c(i, j) = g_c\, \bar y_c(i, j) + \frac{\bar z_c}{HW}.$$ (se-gradient)
#
# The second term is the same for every pixel of a channel. That is the global view, seen backwards: through the gates, each
# pixel acts on the whole output, and the whole output pushes every pixel alike.
#
# ## The module from scratch


# %%
class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = channels // reduction
        self.reduce = nn.Linear(channels, hidden)  # W_1, b_1
        self.expand = nn.Linear(hidden, channels)  # W_2, b_2

    def forward(self, x):
        # z_c = 1 / (H W) sum_ij x_c(i, j)
        z = x.mean((2, 3))
        # h = W_1 z + b_1
        h = self.reduce(z)
        # s = W_2 relu(h) + b_2
        s = self.expand(torch.relu(h))
        # g = sigmoid(s)
        gate = torch.sigmoid(s)
        # y_c(i, j) = g_c x_c(i, j)
        return gate[:, :, None, None] * x


# %% [markdown]
# ## It is right
#
# Five checks, in double precision, on maps of 9 by 7 pixels so that no axis can stand in for another. A check that fails
# stops the notebook. The first two hold the code against the equations in plain loops, which know nothing of tensors.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def weighted(weights, values, total):
    for weight, value in zip(weights, values, strict=True):
        total += weight * value
    return total


def loops(image, w_1, b_1, w_2, b_2):
    """One image as nested lists [C][H][W]; weights as nested lists."""
    z = []
    for channel in image:
        pixels = [value for row in channel for value in row]
        z.append(weighted([1.0] * len(pixels), pixels, 0.0) / len(pixels))
    hidden = [max(weighted(w, z, b), 0.0) for w, b in zip(w_1, b_1)]
    output = []
    for channel, w, b in zip(image, w_2, b_2, strict=True):
        gate = 1 / (1 + math.exp(-weighted(w, hidden, b)))
        output.append([[gate * v for v in row] for row in channel])
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = SqueezeExcitation(32, reduction=8).double()
library = attnlib.create("se", 32, reduction=8).double()
for ours, theirs in (
    (scratch.reduce, library.reduce),  # there a 1 x 1 convolution
    (scratch.expand, library.expand),
):
    theirs.weight.data = ours.weight.data[:, :, None, None].clone()
    theirs.bias.data = ours.bias.data.clone()

weights = [parameter.tolist() for parameter in scratch.parameters()]
by_loops = [loops(image, *weights) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# The third holds the gradient {eq}`se-gradient`, written out step by step, against automatic differentiation:

# %% tags=["nbval-check-output"]
upstream = torch.randn_like(x)  # dL / dy
x.requires_grad_(True)
(automatic,) = torch.autograd.grad((upstream * scratch(x)).sum(), x)

with torch.no_grad():
    h = scratch.reduce(x.mean((2, 3)))
    gate = torch.sigmoid(scratch.expand(torch.relu(h)))
    back_gate = (upstream * x).sum((2, 3))
    back_s = gate * (1 - gate) * back_gate
    back_h = (h > 0) * (back_s @ scratch.expand.weight)
    back_z = back_h @ scratch.reduce.weight
    by_hand = gate[:, :, None, None] * upstream
    by_hand += back_z[:, :, None, None] / (9 * 7)
check("gradient by hand = automatic", by_hand, automatic, atol=1e-12)

# %% [markdown]
# The fourth is the count {eq}`se-parameters`, also for a width that the reduction does not divide. The fifth is
# {eq}`se-mean-of-means`: behind a batch norm in training mode, the means of a batch have the mean $\beta$.


# %% tags=["nbval-check-output"]
def size(module):
    return sum(p.numel() for p in module.parameters())


for C in (100, 256, 2048):
    m = C // 16
    counted = size(attnlib.create("se", C, reduction=16))
    check(f"parameters, C = {C}", counted, 2 * C * m + C + m)

norm = nn.BatchNorm2d(32).double()
nn.init.normal_(norm.bias)
z = norm(x).mean((2, 3))
check("mean of the means = beta", z.mean(0), norm.bias, atol=1e-12)

# %% [markdown]
# ## What it costs
#
# The paper puts one block at the end of each of ResNet-50's 16 residual branches. "What does it cost?" has three
# answers. A *MAC* is one multiply-add, which the paper calls a FLOP; *one by one* counts the work that multiplies no
# matrix: to read a value for the mean, to scale it, to add it.

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet50'").set_index("module")
plain, se = counted.loc["none"], counted.loc["se"]
times = paper.table("times").set_index("task").loc["forward and backward"]
steps = pd.DataFrame(measurements("cpu-training").rows)
step = steps.set_index("attention")["ratio"]

answers = [
    ("parameters (M)", plain.parameters / 1e6, se.parameters / 1e6),
    ("MACs (G)", plain.macs / 1e9, se.macs / 1e9),
    ("one by one (M)", plain.elementwise / 1e6, se.elementwise / 1e6),
    ("printed time (ms)", times.resnet50_ms, times.se_resnet50_ms),
]
answers = pd.DataFrame(answers, columns=["ResNet-50", "plain", "with SE"])
answers["more (%)"] = 100 * (answers["with SE"] / answers["plain"] - 1)
plots.table(answers, "Four costs of SE in ResNet-50", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SE adds 9.90 % of parameters, 0.06 % of multiply-adds and 10.00 % of the time that the paper prints for a training step.
# Here, a training step of ResNet-20 on two CPU cores takes 13.8 % longer. Multiply-adds say next to nothing about time:
# the block computes little, but it reads and writes whole maps.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
finding(
    "9.90 % of parameters, 0.06 % of multiply-adds and 10.00 %",
    *answers["more (%)"].iloc[[0, 1, 3]],
)
finding("13.8 % longer", 100 * (step["se"] - 1))


# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# At which width does one block with $r = 16$ cost a million parameters? Say a number first. Then change `C` and run.
# :::

# %%
C = 256
print(
    f"C = {C}: {size(attnlib.create('se', C, reduction=16)):,} parameters"
)

# %% [markdown]
# ## Does it train, does it help?
#
# ### As published
#
# The paper trains ResNet-50 on ImageNet by two recipes: a shorter one to compare networks (its Table 2), and a longer
# one, with label smoothing, for its {term}`ablations <ablation>` (Table 10).

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Top-1 error of ResNet-50 as printed. Shorter recipe: 24.80 per cent plain, 23.29 with SE. Longer recipe: 23.30 plain, 22.28 with SE."}, "figure": {"caption": "Printed top-1 error of ResNet-50 with and without SE, by recipe. SE by the shorter recipe stands where the plain network stands by the longer one.", "name": "se-recipes"}} tags=["hide-input"]
short = paper.table("table-2").set_index("model").loc["ResNet-50"]
long = paper.table("table-10").set_index("r")["top1_err"]
errors = {
    "shorter": {
        "none": short["reimpl_top1_err"],
        "se": short["se_top1_err"],
    },
    "longer": {"none": long[long.index.isna()].item(), "se": long[16]},
}
plots.dumbbells(errors, "top-1 error on ImageNet (%)")
plain_short, se_short = errors["shorter"].values()
plain_long, se_long = errors["longer"].values()
finding("from 24.80 to 23.30 % error", plain_short, plain_long)
finding("23.29 %", se_short)
finding("from 1.51 to 1.02", plain_short - se_short, plain_long - se_long)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The longer recipe alone takes the plain network from 24.80 to 23.30 % error. SE alone, by the shorter recipe, takes it to
# 23.29 %: on this network, SE is worth as much as a longer training. The two do not add up. By the longer recipe SE's
# gain shrinks from 1.51 to 1.02 points. Each number is a single run of the authors.
# :::
#
# ### Live, on generated shapes
#
# The cell below trains a small ResNet with SE on generated shapes for three epochs. With `ATTNLIB_LANE=full` it
# trains ResNet-20 on CIFAR-10 for thirty, and writes the record.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}, "figure": {"caption": "The live network by epoch. Three epochs are a beginning.", "name": "se-live"}}
trained = train(chapter_recipe("se", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 40 %", trained.record.final.accuracy > 0.4)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 40 % of the held-out images, four times as many as chance: the code
# trains. Whether SE helps, one short run cannot say; for that, seeds are needed.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, 4,500 training images, four epochs, eight seeds of each network. The
# control has gates that are one half for every channel and every image. It costs nothing and knows nothing; but like SE at
# its start it halves every branch, and a factor on the branches changes how a network learns.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point. No module lowest, SE above it, the constant gate of one half highest."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. The constant stands right of SE, and SE right of no module.", "name": "se-cifar"}} tags=["hide-input"]
keys = ("none", "constant", "se")
runs = [run for key in keys for run in records("cifar10-slice", key)]
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="se")
row = {row.label: row for row in compared.rows}
plain, constant = row["none"], row["constant"]
finding("by 2.42 points", -plain.difference, max(plain.differences) < 0)
finding("1.85 to 3.00", *sorted(-end for end in plain.student))
above = [d > 0 for d in constant.differences]
finding("seven of eight seeds", (sum(above), len(above)) == (7, 8))
finding("by 1.16 points", constant.difference)
finding("-0.41 to 2.73, holds zero", *constant.student)
finding("the constant won each time", all(above[:3]))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In these runs SE is better than no module on every seed, by 2.42 points in the mean (95 % interval 1.85 to 3.00).
# The constant is better than SE on seven of eight seeds, by 1.16 points in the mean; the interval, -0.41 to 2.73, holds
# zero. So the runs do not rank the two, and what SE gains here does not show that its gates know anything. On the first
# three seeds the constant won each time: three seeds are few.
# :::
#
# ## Look inside
#
# ### What the gates know
#
# Two thousand fresh images go through the live network. A gate varies from image to image. Part of its variance lies
# between the means of the ten classes, the rest inside the classes; `share_between` is the first part, for all channels
# together. It is zero where a gate does not know the class, and one where it knows nothing else.


# %%
def share_between(values):
    """Part of the variance over images that is between class means."""
    means = torch.stack([values[labels == k].mean(0) for k in range(10)])
    return (means[labels].var(0).sum() / values.var(0).sum()).item()


images, classes, masks = generate(2000, seed=7)
labels = torch.tensor(classes)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="se"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
with (
    torch.no_grad(),
    plots.captured(
        model, lambda se, x: (x.mean((2, 3)), se.gate(x))
    ) as seen,
):
    model(inputs)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three heat maps, one for each block, of the mean gate by class and channel. In the third the rows differ most."}, "figure": {"caption": "The mean gate of each class and channel in the three blocks of the live network. In the third block the rows differ most.", "name": "se-gates"}} tags=["hide-input"]
shares = [[share_between(v.flatten(1)) for v in p] for p in seen.values()]
gates = {
    f"block {n}: {of_gates:.0%} between classes": seen[path][1]
    for n, (path, (_, of_gates)) in enumerate(zip(seen, shares), start=1)
}
plots.gates_by_class(gates, labels, CLASSES)
(_, first), (_, second), (of_means, last) = shares
finding("more than 75 %", last > 0.75)
finding("less than 60 %", first < 0.6, second < 0.6)
finding("more than 65 % in the last block", of_means > 0.65)
plt.show()

# %% [markdown]
# **How to read it.** A row is a class, a column a channel. A column of one colour is a gate that ignores the class.
#
# :::{admonition} Finding
# :class: finding
# In the last block more than 75 % of the gates' variance lies between classes; in the two before it less than 60 %. The
# paper's Figure 6 has the same order on ImageNet. But the channel means that the gates are computed from have it, too:
# more than 65 % in the last block. The gates know the class because the maps do.
# :::
#
# ### What the network does with it
#
# To know something is not to use it. So exchange the gates of a trained network, and see what it loses: give every image
# the *average* gates of its block, which are a constant, or the gates of *another* image.


# %%
def accuracy(exchange, paths):
    """Images named right, in per cent, with some gates exchanged."""

    def scale(se, args, output):
        return args[0] * exchange(se.gate(args[0]))

    modules = attention_modules(model)
    hooks = [modules[path].register_forward_hook(scale) for path in paths]
    with torch.no_grad():
        right = model(inputs).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


own = accuracy(lambda gate: gate, [])
average = lambda gate: gate.mean(0, keepdim=True)
another = lambda gate: gate.roll(1, 0)  # the gates of the image before

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Points of accuracy lost by block, with average gates and with the gates of another image. The third block loses little; all blocks together lose most, and more with another image's gates."}, "figure": {"caption": "What the live network loses when its gates are exchanged. In all blocks together another image's gates cost more than average ones.", "name": "se-exchange"}} tags=["hide-input"]
places = {f"block {n}": [path] for n, path in enumerate(seen, start=1)}
places["all blocks"] = list(seen)
exchanges = {"average gates": average, "another image's gates": another}
lost = {
    what: [own - accuracy(exchange, paths) for paths in places.values()]
    for what, exchange in exchanges.items()
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.8))
for (what, points), face in zip(
    lost.items(), (plots.colour("se"), "none")
):
    style = plots.look("se").points(ls="", mfc=face, label=what)
    axis.plot(points, range(4), **style)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.set_yticks(range(4), places)
axis.set(ylim=(3.6, -0.6), xlabel="points of accuracy lost")
axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
with_average, with_another = lost.values()
finding("more than 6 points", with_another[-1] > 6)
finding("more than with average", with_another[-1] > with_average[-1])
finding("less than 4 points", with_average[2] < 4)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the gates of another image in all blocks the network loses more than 6 points of accuracy, and more than with average
# gates: it listens to its gates, and a wrong gate is worse than none of its own. But average gates in the last block,
# where the gates know the class best, cost less than 4 points. What a gate knows and what it is good for are two things.
# :::
#
# The paper found the same on ImageNet by another way: it left SE out of the last stage, where most of the parameters are,
# and lost less than 0.1 points of top-5 error.
#
# :::{admonition} Try it
# :class: try-it
# What happens if every gate is one half, as in the control? The trained network has never seen such gates. Say first
# whether it loses more or less than with its own average gates; then run.
# :::

# %%
half = lambda gate: torch.full_like(gate, 0.5)
print(
    f"own gates {own:.0f} %, one half {accuracy(half, list(seen)):.0f} %"
)

# %% [markdown]
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the
# code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """flops-share table-10-parameters gates-by-class recipe-gain
    gain-resnet50 table-10-flat nosqueeze-parameters"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} What does one gate of an SE block depend on?
# - [ ] On the mean of its own channel.
#
#   A gate is computed from all hidden units, and each of these is a weighted sum of all means.
# - [x] On the means of all channels.
#
#   That is the way from one channel to another: through the two layers.
# - [ ] On the pixel that it multiplies.
#
#   One gate serves all pixels of its channel. A gate for each pixel is what the paper calls NoSqueeze.
# ```
#
# ```{quiz} What would a softmax over the channels do in place of the sigmoids?
# - [ ] Nothing: both give numbers between 0 and 1.
#
#   The numbers of a softmax also sum to one over the channels.
# - [ ] The gates could no longer know the class.
#
#   A softmax over ten class scores knows the class, too; what changes is that the gates compete.
# - [x] The gates would compete, and 256 of them would be about 1/256 each.
#
#   A channel could be let through only by turning others down, and the map would come out hundreds of times fainter.
# ```
#
# ```{quiz} The weights of a fresh block are small and its biases zero. What does the block do?
# - [ ] Nothing: it starts as the identity.
#
#   It would be the identity with gates of one, that is with very large logits.
# - [x] It halves the branch.
#
#   Logits near zero give gates near one half, for every channel and image.
# - [ ] It closes the branch.
#
#   Gates near zero need very negative logits.
# ```
#
# ```{quiz} In the last block 90 % of the gates' variance lies between classes. What follows?
# - [ ] The network uses the gates to tell the classes apart.
#
#   Average gates in that block cost less than 4 points here. Knowing is not using.
# - [x] The gates of an image depend mostly on its class; not that the network needs them.
#
#   The channel means, which the gates are computed from, depend on it as well.
# - [ ] The gates classify 90 % of the images correctly.
#
#   A share of variance is not a share of images.
# ```
#
# ```{quiz} In short runs a constant gate of one half does as well as SE. What may be concluded?
# - [ ] SE is useless.
#
#   The runs are four epochs on 4,500 images. The paper trains for a hundred on 1.3 million.
# - [ ] The constant is the better module.
#
#   It is a control. What it shows is how much of a gain comes from a factor on the branches alone.
# - [x] In such runs, what SE gains over no module does not show that its gates know anything.
#
#   A factor that knows nothing gains as much. To credit the gates, they have to beat the constant.
# ```
#
# ## Exercises
#
# ````{exercise} Where the parameters are
# :label: se-exercise-stage
#
# *Easy, 5 minutes.* ResNet-50 has 3, 4, 6 and 3 blocks with 256, 512, 1024 and 2048 channels. Which share of SE's
# weights is in the last stage, in per cent, to one decimal?
#
# :::{dropdown} Hint
# Leave the biases out: a stage with $N$ blocks of $C$ channels has $2 N C^2 / r$ weights, and $r$ cancels.
# :::
# ````

# %%
exercises.answer("se-exercise-stage", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} se-exercise-stage
# :class: dropdown
# ````
#
# Five of eight parts of SE's weights serve three of its sixteen blocks. The paper leaves these three out and
# loses less than 0.1 points of top-5 error; about 4 % of additional parameters remain.

# %%
weights_of = [
    blocks * width**2
    for blocks, width in ((3, 256), (4, 512), (6, 1024), (3, 2048))
]
share = 100 * weights_of[-1] / sum(weights_of)
print(f"{share:.1f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "se-exercise-stage", right=share, wrong=[37.5, 25, 0.625]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Squeeze by the maximum
# :label: se-exercise-maximum
#
# *Easy, 10 minutes.* The paper also tries the largest value of a channel instead of its mean (its Table 11: 22.57 %
# error instead of 22.28 %). Write a function `gate(x, w_1, b_1, w_2, b_2)` that returns these gates, (N, C), for a map
# (N, C, H, W).
#
# :::{dropdown} Hint
# `torch.amax` takes the largest value over several axes at once.
# :::
# ````

# %%
exercises.answer("se-exercise-maximum", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} se-exercise-maximum
# :class: dropdown
# ````
#
# Only the first line changes. The gradient changes more: it reaches the largest pixel alone, not every pixel alike.


# %%
def gate_of_maximum(x, w_1, b_1, w_2, b_2):
    z = x.amax((2, 3))
    h = z @ w_1.T + b_1
    return torch.sigmoid(torch.relu(h) @ w_2.T + b_2)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda x, *layers: gate_of_maximum(-x, *layers),  # the minimum
    lambda x, *layers: gate_of_maximum(x.abs(), *layers),
]
exercises.try_judge(
    "se-exercise-maximum", right=gate_of_maximum, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A hidden layer of one
# :label: se-exercise-dead
#
# *Medium, 10 minutes.* The first stage of ResNet-20 has 16 channels, so that at $r = 16$ the hidden layer has a single
# unit. Suppose its value $h$ is negative for every image: the unit is dead. On how many of the block's parameters does
# the output still depend?
#
# :::{dropdown} Hint
# Put $\delta(h) = 0$ into {eq}`se-logits`, and count what is left.
# :::
# ````

# %%
exercises.answer("se-exercise-dead", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} se-exercise-dead
# :class: dropdown
# ````
#
# What is left is $g = \sigma(b_2)$: 16 numbers, the same for every image. The block has become a constant, and no
# gradient will wake it.

# %%
block = attnlib.create("se", 16, reduction=16)
with torch.no_grad():
    block.reduce.bias.fill_(-100.0)
gate = block.gate(torch.randn(5, 16, 8, 8))
check("one gate for all images", gate[0].clone(), gate[4], atol=1e-6)
gate.sum().backward()
alive = sum(int((p.grad != 0).sum()) for p in block.parameters())
print(f"{alive} of {size(block)} parameters act")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("se-exercise-dead", right=alive, wrong=[49, 32, 0])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Without the last block
# :label: se-exercise-without
#
# *Research, 45 minutes.* This chapter exchanged the gates of a trained network. Train without them instead: the recipe
# `smoke` with SE in the first two blocks only (`placement=["layer1.*.bn2", "layer2.*.bn2"]`) and with SE in all three, from
# five seeds each. Does the interval of the paired differences (`attnlib.report`) leave zero out? How many seeds would you
# need for a difference of one point? To begin with: how many parameters does the network lose?
#
# :::{dropdown} Hint
# `train(Recipe.named("smoke", attention="se", placement=..., seed=seed))`; pair the runs by their seeds.
# :::
# ````

# %%
exercises.answer("se-exercise-without", ...)  # parameters lost

# %% [markdown]
# ````{solution-start} se-exercise-without
# :class: dropdown
# ````
#
# One block of 64 channels and four hidden units goes. The rest is an experiment, and yours: say the number of seeds, the
# mean of the paired differences and its interval, whatever comes out.

# %%
lost_parameters = size(attnlib.create("se", 64, reduction=16))
print(f"{lost_parameters:,} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "se-exercise-without", right=lost_parameters, wrong=[512, 49]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SE multiplies each channel by a number between 0 and 1 that depends on the means of all channels of this image.
# 2. It adds a tenth of parameters to ResNet-50, next to no multiply-adds, and a tenth of time.
# 3. A fresh block halves its branch. The control for SE is therefore not "no module" but a constant gate.
# 4. Late gates know the class. So do the means they are computed from, and the network can do without them.
# 5. A longer recipe gives plain ResNet-50 as much as SE gives it, and SE under that recipe gives less.
# :::
#
# ## Further reading
#
# * [SE, deeper](se_deeper.ipynb): three squeezes, the reduction, where Grad-CAM looks, all printed costs.
# * The journal version {cite}`se` has the ablations that are used here: reduction, squeeze, gate, place.
# * [NAM](nam.ipynb) and [SA](sa.ipynb) gate with far fewer parameters, and no gate sees another channel's mean.
