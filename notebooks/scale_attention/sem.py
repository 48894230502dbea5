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
# # Switchable excitation (SEM)
#
# :::{admonition} Does it switch?
# :class: question
#
# SEM makes logits for its gates in three ways: two layers (FC), a kernel (CNN), a scale and a shift (IE). Each image
# decides how much each of them counts.
#
# **From block to block it switches, from image to image hardly.** After ten epochs on this book's shapes, on each of
# three seeds, the last block has FC and CNN on and IE off; in the others no mean weight leaves 0.34 to 0.58. With
# another image's decisions a network loses at most 1.4 points of accuracy, with FC off at least 5.4.
#
# **Off is one half.** A decision scales a logit, and the gate is a product of sigmoids: an operator that is off halves
# the gate, and a fresh module leaves a tenth of its branch, 0.094.
#
# **The tenth costs, and deciding does not pay.** On shapes no module has 98.77 % and a constant gate of 0.094 has
# 50.15 %; SEM has 57.95 %, and with decisions held at one half 57.85 %. On a tenth of CIFAR-10 it is below no module on
# each of three seeds, by 4.60 points in the mean without augmentation, and by 3.64 with it.
# :::
#
# :::{mechanism}
# :name: sem-mechanism
#
# ![Where SEM sits in a residual block](../../book/figures/sem-block.svg)
# ![A decision scales three logits; the product of their sigmoids is the gate](../../book/figures/sem-steps.svg)
#
# Where SEM sits in a residual block, and what it does to four channels of one image.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`sem`; known second-hand, its first page and a summary. The code, its tables and logs were read.
# **You need:** [SE](se.ipynb), [ECA](eca.ipynb), [IEBN](iebn.ipynb). **Time:** half an hour.
#
# Afterwards you can write the module; say what a weight of zero does to a gate; and measure whether decisions depend on
# the image. Symbols are those of the [notation page](../../book/notation.md).
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
from attnlib.results import costs, measurements, records, store
from attnlib.results.intervals import student
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("sem")

# %% [markdown]
# ## The idea
#
# Channel attention has three cheap ways to make a logit out of the channel means: two thin layers ([SE](se.ipynb)), a
# short kernel along the channels ([ECA](eca.ipynb)), a scale and a shift for each channel ([IEBN](iebn.ipynb)). Why
# choose one by hand, for all layers and images? The switchable excitation module keeps all three, and lets each image
# decide how strongly each of them speaks. The authors call each way an {term}`excitation operator`, and the layer that
# weighs them the {term}`decision`.
#
# The word *switch* promises two positions, on and off. A decision is three numbers for each image and block. Do they
# differ between images? Are they ever near 0 or 1? And what does an operator do that is off?
#
# ## Derivation
#
# Let $x$ be the map behind the last batch norm of a residual branch, and $z$ the means of its $C$ channels, as in SE.
#
# **Decide.** One linear layer with three outputs, and sigmoids:
#
# $$w = \sigma(W_d\, z + b_d).$$ (sem-decision)
#
# The three weights are not in competition: each has its own sigmoid, and they need not sum to one. What goes into the
# sigmoid is a *weighted sum* of the means. So the decision is a logistic regression on $z$, and no image gets a
# decision because two channels are strong *together*, beyond what each of them adds.
#
# **Excite, three times.** FC is SE, with a hidden layer of $h = C / r$ units; CNN is ECA's kernel, which
# {eq}`eca-slide` writes with $w$ and we with $v$; IE is a scale and a shift for each channel:
#
# $$e_1 = W_2\, \delta(W_1 z + b_1) + b_2,$$ (sem-fc)
#
# $$e_{2} = v \ast z,$$ (sem-cnn)
#
# $$e_{3c} = \alpha_c\, z_c + \beta_c.$$ (sem-ie)
#
# **Weigh, gate, multiply.** The weight scales the *logit*; behind it stands a sigmoid of its own; the gate is the
# product, and it multiplies the channel as in SE, $y_c(i, j) = g_c\, x_c(i, j)$:
#
# $$g_c = \prod_{k=1}^{3} \sigma(w_k\, e_{kc}).$$ (sem-gate)
#
# **What a weight can do.** $w_k$ lies between 0 and 1, so the logit $w_k e_{kc}$ lies between 0 and $e_{kc}$, and the
# factor
#
# $$\begin{aligned} \sigma(w_k e_{kc}) \text{ lies between} \\ \tfrac12 \text{ and } \sigma(e_{kc}). \end{aligned}$$ (sem-between)
#
# A decision can only pull a factor towards one half. At $w_k = 0$ the operator has nothing to say any more, and
# *multiplies by one half*: switched off, it still halves. With all three off the gate is $\tfrac18$, and not 1. To let
# a channel through, all three have to be on and in agreement: the gate is never above its smallest factor.
#
# **At the start** the weights of linear layers are small, $z$ is near zero behind a batch norm, $\alpha = 0$ and $\beta
# = -1$. So $w \approx \tfrac12$, $e_1$ and $e_2$ are near 0, $e_3 = -1$, and
#
# $$g \approx \tfrac12 \cdot \tfrac12 \cdot \sigma(-\tfrac12) = 0.094.$$ (sem-start)
#
# A fresh SEM leaves a tenth of its branch. And the branch learns slowly: with a bar for the gradient of the loss,
# $y = g\,x$ hands $g\,\bar y$ down to it, a tenth of the gradient without a module, beside what comes by way of the
# gates. So the control is a constant gate of 0.094, and not one half.
#
# **Who learns?** The logarithm of the product {eq}`sem-gate` is a sum, and the derivative of $\ln \sigma(u)$ is
# $1 - \sigma(u)$. So $\partial \ln g_c / \partial w_k = (1 - \sigma_{kc})\, e_{kc}$, and
#
# $$\bar w_k = \sum_c \bar g_c\, g_c\, (1 - \sigma_{kc})\, e_{kc},$$ (sem-learn)
#
# where $\sigma_{kc}$ is short for $\sigma(w_k e_{kc})$. An operator with $e_k$ near 0 teaches its decision little. The
# logit of IE is $-1$ everywhere at the start: its weight falls where the gates as a whole should open.
#
# **Parameters.** Three rows of decision, SE, $k$ weights of a kernel, and IE's pairs:
#
# $$\begin{aligned} P = {} & 3\,(C + 1) + 2\,C\,h + C \\ & {} + h + k + 2\,C. \end{aligned}$$ (sem-parameters)
#
# ## The module from scratch


# %%
class SEM(nn.Module):
    def __init__(self, channels: int, hidden: int, k: int):
        super().__init__()
        self.decide = nn.Linear(channels, 3)  # W_d, b_d
        self.reduce = nn.Linear(channels, hidden)  # W_1, b_1
        self.expand = nn.Linear(hidden, channels)  # W_2, b_2
        self.slide = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)  # v
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.full((channels,), -1.0))

    def forward(self, x):
        z = x.mean((2, 3))
        # w = sigmoid(W_d z + b_d)
        w_1, w_2, w_3 = torch.sigmoid(self.decide(z)).split(1, dim=1)
        e_1 = self.expand(torch.relu(self.reduce(z)))
        e_2 = self.slide(z[:, None])[:, 0]
        e_3 = self.alpha * z + self.beta
        # g = sigmoid(w_1 e_1) sigmoid(w_2 e_2) sigmoid(w_3 e_3)
        logits = torch.stack([w_1 * e_1, w_2 * e_2, w_3 * e_3])
        return torch.sigmoid(logits).prod(0)[:, :, None, None] * x


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 32 channels and 9 by 7 pixels, with random parameters. The loops know no tensors.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def layer(matrix, vector, shift):
    pairs = zip(matrix, shift, strict=True)
    return [sum(map(float.__mul__, row, vector)) + b for row, b in pairs]


def loops(image, alpha, beta, w_d, b_d, w_1, b_1, w_2, b_2, v):
    """One image as nested lists [C][pixels]; parameters as lists."""
    sigmoid = lambda value: 1 / (1 + math.exp(-value))
    z = [sum(pixels) / len(pixels) for pixels in image]
    w = [sigmoid(value) for value in layer(w_d, z, b_d)]
    hidden = [max(value, 0.0) for value in layer(w_1, z, b_1)]
    reach, C = len(v) // 2, len(z)
    e_1, e_2, e_3 = layer(w_2, hidden, b_2), [], []
    for c in range(C):
        near = [(j, c + j - reach) for j in range(len(v))]
        e_2.append(sum(v[j] * z[d] for j, d in near if 0 <= d < C))
        e_3.append(alpha[c] * z[c] + beta[c])
    output = []
    for c in range(C):
        gate = 1.0
        for weight, e in zip(w, (e_1, e_2, e_3), strict=True):
            gate *= sigmoid(weight * e[c])
        output.append([gate * value for value in image[c]])
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = SEM(32, hidden=2, k=3).double()
library = attnlib.create("sem", 32).double()
for parameter in scratch.parameters():
    nn.init.normal_(parameter)
fc, cnn, ie = library.operators.values()
theirs = ie.scale, ie.shift, *library.decide.parameters()
theirs = (*theirs, *fc.parameters(), *cnn.parameters())
for own, other in zip(scratch.parameters(), theirs, strict=True):
    other.data = own.data.clone()
lists = [own.squeeze().tolist() for own in scratch.parameters()]
by_loops = [loops(image, *lists) for image in x.flatten(2).tolist()]
check("from scratch = loops", scratch(x).flatten(2), by_loops, atol=1e-12)
check("attnlib = loops", library(x).flatten(2), by_loops, atol=1e-12)

# %% [markdown]
# ### Off is one half
#
# A library module whose decision is forced by its bias: all on, FC off, all off.


# %% tags=["nbval-check-output"]
def forced(*weights):
    """The gates with these decision weights for every image."""
    nn.init.zeros_(library.decide.weight)
    library.decide.bias.data = torch.tensor(weights).double().logit()
    return library.gate(x)[:, :, 0, 0].detach()


on, off = 1 - 1e-15, 1e-15
gates = forced(on, on, on)
z = x.mean((2, 3))
others = torch.sigmoid(cnn(z)) * torch.sigmoid(ie(z))
check("FC off", forced(off, on, on), 0.5 * others, atol=1e-9)
eighth = torch.full_like(gates, 0.125)
check("all off = 1/8", forced(off, off, off), eighth, atol=1e-9)
smallest = torch.stack([torch.sigmoid(o(z)) for o in (fc, cnn, ie)])
finding("never above the smallest", (gates <= smallest.amin(0)).all())
torch.manual_seed(0)
fresh = attnlib.create("sem", 256).gate(torch.randn(8, 256, 7, 7))
finding("within 0.005 of 0.094", abs(fresh.mean().item() - 0.094) < 0.005)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Switched off, FC multiplies the gate by one half; all three off leave one eighth. With all on, the gate is never above
# the smallest of the three factors. And the mean of a fresh gate is within 0.005 of 0.094.
# :::
#
# :::{admonition} Try it
# :class: try-it
# By which factor can a gate grow at most when all decisions go from off to on? Say it from {eq}`sem-between`; then look
# at the largest entry of `8 * gates`.
# :::

# %%
print(f"{(8 * gates).max().item():.2f}")

# %% [markdown]
# ### The decision is linear
#
# One text on the field says that the decision learns a *non-linear* interaction of the channels. Let two channels
# change, one at a time and both together. Where two channels interact, the effect of both is more, or less, than the
# sum of the two effects. In the logit of the decision it never is; in SE's logits, with their hidden layer, it is.


# %% tags=["nbval-check-output"]
def interaction(logits, a=3, b=7):
    """What two channels do together beyond what each does alone."""
    z = torch.randn(64, 32, dtype=torch.float64)
    one, two = (torch.eye(32, dtype=torch.float64)[c] for c in (a, b))
    both, neither = logits(z + one + two), logits(z)
    return both - logits(z + one) - logits(z + two) + neither


nn.init.normal_(library.decide.weight)
none = torch.zeros(64, 3, dtype=torch.float64)
decided = interaction(library.decide)
check("decision: no interaction", decided, none, atol=1e-12)
finding("of more than 0.1", interaction(fc).abs().max() > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The logit of a decision has no interaction of channels, to rounding; those of FC have one of more than 0.1.
# :::
#
# What is not linear in SEM is the product: $w_k e_k$ multiplies one function of the means by another.
#
# ## What it costs
#
# In ResNet-164, the network of the released code, with 10 classes; a training step is one of ResNet-20 on two cores.

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet164'").set_index("module")
fields = ["parameters", "macs"]
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
rows = []
for key in ("se", "eca", "iebn", "sem"):
    extra = counted.loc[key, fields] - counted.loc["none", fields]
    rows.append([key, *(extra / [1, 1e3]), longer[key]])
columns = ["added by", "parameters", "MACs (k)", "step (%)"]
added = pd.DataFrame(rows, columns=columns)
added["parameters"] = added["parameters"].astype(int)
plots.table(added, "What four modules add", digits=2)

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
by_se, _, _, by_sem = added.iloc[:, 1:].to_numpy()
finding("242,820 parameters", by_sem[0])
finding("83 %", 100 * by_se[0] / by_sem[0])
finding("14.0 % longer, with SE 13.8 %", by_sem[2], by_se[2])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SEM adds 242,820 parameters, of which 83 % are SE's. Since all three operators share one squeeze and one product with
# the map, a training step is hardly longer than SE's: it takes 14.0 % longer, with SE 13.8 %.
# :::
#
# ## Does it train, does it help?
#
# ### As published
#
# READMEs of one group: ResNet-164 on CIFAR-100 by one recipe, which keeps the best test accuracy of all epochs.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Printed accuracy of ResNet-164 on CIFAR-100: no module 74.10 to 74.30, SE 75.03 and 75.30, SPEM 76.31, SEM 76.76, IEBN 77.09."}, "figure": {"caption": "Printed accuracy of ResNet-164 on CIFAR-100, by repository; each is one run.", "name": "sem-printed"}} tags=["hide-input"]
own = paper.table("readme").set_index("dataset")["sem_acc"]["CIFAR-100"]
table = paper.table("siblings").query("dataset == 'CIFAR-100'")
table = table[~table["repository"].str.contains("DIANet")]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
looks = {"none": "none", "SE": "se", "IEBN": "iebn"}
for _, r in table.sort_values("acc").iterrows():
    style = plots.look(looks.get(r["module"], "none"))
    axis.plot([r["acc"]], [r["module"]], **style.points(ls=""))
axis.plot([own], ["SEM"], **plots.look("sem").points(ls=""))
axis.set(xlabel="accuracy, printed (%)", ymargin=0.15)
printed = table.set_index("module")["acc"]
iebn = printed["IEBN"]
finding("76.76 % with SEM and 77.09 % with IEBN", own, iebn)
finding("0.33 points less", iebn - own)
finding("75.30 %", printed["SE"].max())
logs = paper.table("asr-logs")
gap = logs["best_acc"] - logs["last_acc"]
finding("0.34 to 0.78 points", gap.min(), gap.max())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# They print 76.76 % with SEM and 77.09 % with IEBN, one of SEM's three operators: 0.33 points less for all three with a
# decision. (IEBN stands in every norm, SEM once in a block.) SE has 75.30 % at best. Each is one run, and the epoch was
# chosen on the test set: in logs of the same group that is worth 0.34 to 0.78 points.
# :::
#
# ### Live, on generated shapes
#
# A small ResNet with SEM, three epochs; with `ATTNLIB_LANE=full` ResNet-20 on CIFAR-10, thirty epochs, for the records.

# %%
trained = train(chapter_recipe("sem", seed=0))
if lane() == "full":
    store(trained.record)

# %% [markdown]
# ### What the decision is worth, over seeds
#
# The same network after *ten* epochs, on three seeds, tested on 2,000 fresh images (`benchmarks/sem_decisions.py`):
# SEM, SEM with all decision weights *held* at one half, no module, and the constant of 0.094.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Accuracy on shapes after ten epochs, three points a row: the constant of 0.094 lowest near 50 per cent, SEM and SEM with held decisions on one level near 58, no module alone near 99."}, "figure": {"caption": "Accuracy on shapes after ten epochs: a point for each of three seeds, a bar at the mean.", "name": "sem-variants"}} tags=["hide-input"]
table = pd.DataFrame(measurements("sem-decisions").rows)
by = 100 * table.pivot(index="variant", columns="seed", values="accuracy")
by = by.loc[by.mean(axis=1).sort_values().index]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.5))
for name, runs in by.iterrows():
    key = {"none": "none", "constant 0.094": "constant"}.get(name, "sem")
    axis.plot(runs, [name] * len(runs), **plots.look(key).points(ls=""))
    axis.plot(runs.mean(), [name], "|", color=plots.INK, ms=14)
axis.set_xlabel("accuracy after ten epochs (%)")
mean, sem, fixed = by.mean(axis=1), by.loc["SEM"], by.loc["constant 0.094"]
finding("98.77 % and the constant 50.15 %", mean["none"], fixed.mean())
finding("costs 48.62 points", mean["none"] - fixed.mean())
finding("SEM has 57.95 %", sem.mean())
finding("7.80 of them", (sem - fixed).mean())
finding("interval 0.68 to 14.92", *student((sem - fixed).tolist()))
held = by.loc["decisions held at 1/2"]
finding("it has 57.85 %", held.mean())
worth = sem - held
finding("1.75 points below, 1.10 and 0.95", -worth[0], *worth[1:])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the mean of three seeds no module has 98.77 % and the constant 50.15 %: to leave a tenth of each branch, without
# looking at anything, costs 48.62 points after ten epochs. SEM has 57.95 %, and wins back 7.80 of them (interval 0.68
# to 14.92). With decisions held at one half it has 57.85 %: deciding is 1.75 points below, 1.10 and 0.95 above, seed
# by seed. These runs show no use of it.
# :::
#
# ### On CIFAR-10, recorded
#
# ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000; without and with crops and flips.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row. Without augmentation SEM is lowest, then no module and IEBN, then SE and the constant gate of one half. With augmentation SEM is lowest, then no module, then SE."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10, without (above) and with augmentation: a point for each seed, a bar at the mean.", "name": "sem-cifar"}} tags=["hide-input"]
keys = ("none", "constant", "iebn", "se", "sem")
plain = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "sem")}
plain = [run for run in plain if run.seed in seeds]  # those of all five
moved = [r for k in keys for r in records("cifar10-slice-augmented", k)]
rows = {"sharex": True, "height_ratios": (5, 3)}
figure, axes = plots.panels(2, height=2.1, **rows)
below = {}
for name, runs, axis in zip(("plain", "moved"), (plain, moved), axes):
    plots.accuracies(runs, axis)
    rows = attnlib.report(runs, baseline="sem").rows
    below[name] = {row.label: row for row in rows}
figure.suptitle("")
axes[0].set_xlabel("")
none, more = below["plain"]["none"], below["moved"]["none"]
finding("three seeds of each", len(seeds) == 3)
finding("45.43 %", below["plain"]["sem"].mean)
finding("no module 50.04 %", none.mean)
finding("by 3.65, 5.48 and 4.68 points", *none.differences)
finding("4.60 in the mean", none.difference)
finding("2.32 to 6.88", *none.student)
finding("2.91 to 7.46", *below["plain"]["iebn"].student)
finding("4.66 to 9.09", *below["plain"]["se"].student)
finding("40.73 % and 44.37 %", below["moved"]["sem"].mean, more.mean)
finding("5.27, 3.62 and 2.03 points", *more.differences)
finding("3.64, -0.38 to 7.66", more.difference, *more.student)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each and no augmentation SEM has 45.43 %, and no module 50.04 %: SEM is *below* it by 3.65, 5.48
# and 4.68 points (4.60 in the mean, 95 % interval 2.32 to 6.88), below IEBN (2.91 to 7.46) and below SE (4.66 to 9.09).
# With crops and flips it is 40.73 % and 44.37 %: below no module by 5.27, 3.62 and 2.03 points (3.64, -0.38 to 7.66).
# :::
#
# What a tenth of a branch costs in four epochs it need not cost in 164, and no record has the constant 0.094. But that
# SEM helps where there is no augmentation gets no support here ([curves by epoch](../accuracy_deeper.ipynb)).
#
# ## Look inside
#
# ### From block to block, or from image to image?
#
# The decisions of the three trained networks of {numref}`sem-variants`, for a thousand images that they have not seen:

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Decision weights after ten epochs, three seeds for each operator and block. In blocks 1 and 2 all lie near one half; in block 3 FC and CNN lie near 0.9 and IE near 0, one of its seeds with a wide bar."}, "figure": {"caption": "Decision weights after ten epochs: for each seed the mean over the images, and a deviation to either side.", "name": "sem-layers"}} tags=["hide-input"]
four = table[table["variant"] == "SEM"]
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.4))
colours = plots.MAP, plots.GATE, plots.WEIGHT
for at, (name, mark) in enumerate(
    {"fc": "o", "cnn": "s", "ie": "^"}.items()
):
    for block in (1, 2, 3):
        means, bars = four[f"{name}_{block}"], four[f"{name}_{block}_std"]
        rows = [block + 0.27 * (at - 1) + 0.08 * n for n in (-1, 0, 1)]
        label = name if block == 1 else None
        style = {
            "color": colours[at],
            "fmt": mark,
            "ms": 5,
            "label": label,
        }
        axis.errorbar(means, rows, xerr=bars, **style)
axis.axvline(0.5, color=plots.INK, lw=1, ls="--")
axis.set(xlabel="decision weight", xlim=(0, 1), ylim=(3.5, 0.5))
axis.set_yticks((1, 2, 3), ("block 1", "block 2", "block 3"))
axis.grid(visible=False, axis="y")
where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
axis.legend(frameon=False, ncols=3, **where)
ends = lambda found: (found.min(axis=None), found.max(axis=None))
some = lambda pattern: ends(four.filter(regex=pattern))
finding("between 0.34 and 0.58", *some("^(fc|cnn|ie)_[12]$"))
finding("FC at 0.86 to 0.96", *some("^fc_3$"))
finding("CNN at 0.92 to 0.96", *some("^cnn_3$"))
finding("IE at 0.02 to 0.22", *some("^ie_3$"))
finding("0.16 to 0.18", *some("^gate_3$"))
finding("0.10 to 0.11", *some("^gate_[12]$"))
finding("by 0.01 to 0.29", *some("_std$"))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In blocks 1 and 2 all mean weights are between 0.34 and 0.58. In block 3 the networks have switched: FC at 0.86 to
# 0.96 and CNN at 0.92 to 0.96 are on, IE at 0.02 to 0.22 is off. There the mean gate is 0.16 to 0.18; before, 0.10 to
# 0.11. From image to image a weight deviates by 0.01 to 0.29.
# :::
#
# Why does IE go off? With logits of $-1$, as at the start, it is a factor of 0.27 when on, and of one half when off. By
# {eq}`sem-learn` every channel that wants a wider gate pulls its one weight down.
#
# ### Other decisions, after training
#
# Give every image the *average* decision of its block, the decision of *another* image, weights that are all one half,
# all 1 or all 0; or switch one operator off in all blocks.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Points of accuracy lost, three seeds a row. The average decision, that of another image, and IE off lie within about one point of zero; weights all one half and all 1 cost up to seven points; FC off and CNN off five to eighteen; all 0 thirteen to thirty-two."}, "figure": {"caption": "Points of accuracy that trained networks lose with other decisions; a point for each of three seeds.", "name": "sem-exchange"}} tags=["hide-input"]
lost = four.filter(like="lost").rename(columns=lambda name: name[6:])
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
style = plots.look("sem").points(ls="")
for name, points in lost.items():
    axis.plot(points, [name] * len(points), **style)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.invert_yaxis()
axis.set_xlabel("points of accuracy lost")
finding("between -0.4 and 0.8 points", *ends(lost["average"]))
finding("another image -0.5 to 1.4", *ends(lost["another image's"]))
finding("FC off it loses 5.4 to 18.3", *ends(lost["fc off"]))
finding("CNN off 8.5 to 16.5", *ends(lost["cnn off"]))
finding("IE off -0.5 to 1.2", *ends(lost["ie off"]))
finding("one half, -0.4 to 6.3", *ends(lost["all 1/2"]))
finding("4.2 to 7.4", *ends(lost["all 1"]))
finding("12.6 to 31.7", *ends(lost["all 0"]))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the average decision of each block a network loses between -0.4 and 0.8 points, with that of another image -0.5
# to 1.4: it makes no use of what differs between images. What is common to them it does use. With FC off it loses 5.4
# to 18.3 points, with CNN off 8.5 to 16.5; with IE off -0.5 to 1.2, for where it matters, it is off already. With
# weights of one half, -0.4 to 6.3; with all 1, 4.2 to 7.4; with all 0, 12.6 to 31.7.
# :::
#
# :::{admonition} Try it
# :class: try-it
# The live network is seven epochs younger. How far are its decisions? Draw what you expect; then run.
# :::

# %% mystnb={"image": {"alt": "Decision weights of the three operators in blocks 1, 2 and 3 of the live network: all medians lie near one half."}, "figure": {"caption": "Decision weights of the live network: the median of 1,000 images, and a bar for the middle 90 per cent.", "name": "sem-decided"}}
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="sem"))
images, labels, _ = generate(1000, seed=7)
model, inputs = trained.model.cpu().eval(), trained.inputs(images)
plots.decision_weights(model, inputs)
read = lambda module, x: (module.decision(x), module.gate(x))
with torch.no_grad(), plots.captured(model, read) as seen:
    named = model(inputs).argmax(1) == torch.tensor(labels)
finding("less than 40 %", named.double().mean() < 0.4)
gates = [gate.mean().item() for _, gate in seen.values()]
finding("between 0.08 and 0.13", min(gates) > 0.08, max(gates) < 0.13)
means = torch.stack([weights.mean(0) for weights, _ in seen.values()])
finding("between 0.35 and 0.65", means.min() > 0.35, means.max() < 0.65)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs it names less than 40 % of these images. Hardly anything has moved: the mean gate of each block is
# between 0.08 and 0.13, and the mean weight of each operator between 0.35 and 0.65.
# :::
#
# ## What holds
#
# Code judges the claims; here are those that matter most. All are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """decision-interaction accuracy-one-operator iebn-better
    scaled-out decision-sum initial-gate best-and-last"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# ## Quiz
#
# ```{quiz} The decision weight of FC is 0 for an image. What does FC do to the gates?
# - [ ] Nothing: it is switched off.
#
#   Its logit becomes 0, and the sigmoid of 0 is one of the three factors.
# - [x] It halves them.
#
#   The sigmoid of 0 is one half, for every channel.
# - [ ] It closes them.
#
#   A gate of 0 takes a very negative logit, not one of 0.
# ```
#
# ```{quiz} For an image $w_1 = 0.9$. What is known of $w_2 + w_3$?
# - [ ] It is 0.1.
#
#   So it would be with a softmax.
# - [ ] It is below 0.9, as FC was chosen.
#
#   Nothing is chosen: each weight has a sigmoid of its own.
# - [x] That it lies between 0 and 2.
#
#   The three sigmoids do not compete.
# ```
#
# ```{quiz} SEM is compared with a constant gate. Which constant tells most about what its gates have learned?
# - [ ] 1, that is no module.
#
#   A network without a module has ten times as much of each branch at the start.
# - [ ] One half, as for SE.
#
#   That is one of three factors at the start, and SEM multiplies all three.
# - [x] 0.094.
#
#   Half of a half, times the sigmoid of minus one half: what a fresh SEM multiplies by.
# ```
#
# ```{quiz} In a trained block all images have the same decision. What is lost when the decision layer is removed and its weights are folded into the operators?
# - [x] Nothing.
#
#   A fixed weight times a logit is the logit of an operator whose last layer is smaller.
# - [ ] The dependence of the gates on the image.
#
#   The operators read the means of the image, with or without a decision.
# - [ ] The choice between the operators.
#
#   A decision that is the same for all images is a choice made once; the folded weights make it, too.
# ```
#
# ```{quiz} READMEs print 77.09 % for IEBN and 76.76 % for SEM, one run each. What follows?
# - [ ] The decision does harm.
#
#   One run each, the best epoch chosen on the test set, IEBN in every norm and SEM once a block: too much differs.
# - [x] That three operators with a decision beat one of them alone is not shown by these numbers.
#
#   It would need several seeds of both in the same places.
# - [ ] SEM is better in truth, since it contains IEBN's operator.
#
#   To be IE alone, it would need two factors of 1; an operator that is switched off has one half.
# ```
#
# ## Exercises
#
# ````{exercise} Half open
# :label: sem-exercise-half
#
# *Easy, 5 minutes.* All three factors of a gate are equal. Which weighed logit $w_k e_k$ does each of them need for a
# gate of one half, to two decimals?
#
# :::{dropdown} Hint
# Each factor is the cube root of one half; the logit of $f$ is $\ln(f / (1 - f))$.
# :::
# ````

# %%
exercises.answer("sem-exercise-half", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sem-exercise-half
# :class: dropdown
# ````
#
# At a decision weight of one half, as at the start, the operators need logits of twice this size.

# %%
f = 0.5 ** (1 / 3)
e = math.log(f / (1 - f))

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sem-exercise-half", right=e, wrong=[0.79, 2.69])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} What off gains
# :label: sem-exercise-off
#
# *Easy, 5 minutes.* In a fresh block IE's weight falls from one half to 0, and nothing else changes. By which factor do
# the gates grow, to two decimals?
#
# :::{dropdown} Hint
# One factor of {eq}`sem-start` becomes one half.
# :::
# ````

# %%
exercises.answer("sem-exercise-off", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sem-exercise-off
# :class: dropdown
# ````
#
# More a weight cannot do for a logit of $-1$. In the trained networks the last block has done it.

# %%
grown = 0.5 * (1 + math.exp(0.5))

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sem-exercise-off", right=grown, wrong=[0.76, 1.86])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A true switch
# :label: sem-exercise-switch
#
# *Medium, 15 minutes.* Write a function of the weights $w$ (N, 3) and the logits $e$ (N, 3, C) that returns gates (N,
# C) for which an operator with a weight of 0 multiplies by 1, one with a weight of 1 by $\sigma(e)$, and which are
# linear in each weight.
#
# :::{dropdown} Hint
# A straight line from 1, at $w = 0$, to $\sigma(e)$, at $w = 1$.
# :::
# ````

# %%
exercises.answer("sem-exercise-switch", ...)  # your function

# %% [markdown]
# ````{solution-start} sem-exercise-switch
# :class: dropdown
# ````


# %%
def switched(w, e):
    return (1 - w[:, :, None] * (1 - torch.sigmoid(e))).prod(1)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
weighed = lambda w, e: torch.sigmoid(w[:, :, None] * e).prod(1)
wrong = [weighed, lambda w, e: (w[:, :, None] * torch.sigmoid(e)).prod(1)]
exercises.try_judge("sem-exercise-switch", right=switched, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Start wide open
# :label: sem-exercise-open
#
# *Research, 60 minutes.* Is it the tenth of a branch that costs SEM its accuracy? Let IE's shift start at a large value
# in place of $-1$, and train four seeds. To begin with: which value can a fresh gate not exceed that way, to two
# decimals?
#
# :::{dropdown} Hint
# The other two factors are one half.
# :::
# ````

# %%
exercises.answer("sem-exercise-open", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sem-exercise-open
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: pair the runs by their seeds, and say the interval, whatever comes out. A true
# switch, as above, has no such limit.

# %%
limit = 0.5 * 0.5 * 1.0

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sem-exercise-open", right=limit, wrong=[0.5, 1.0])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SEM makes logits of the means in three ways, scales each by a weight of the image, and multiplies three sigmoids.
# 2. A weight of zero does not take an operator out: it halves. And no gate is above its smallest factor.
# 3. A fresh SEM leaves a tenth of its branch. That constant is its control: alone it costs 48.62 points on shapes.
# 4. Trained, it switches by block, not by image: another image's decisions cost at most 1.4 points.
# 5. Held decisions did as well on three seeds; on CIFAR-10 SEM is below no module on each, with and without augmentation.
# :::
#
# ## Further reading
#
# * [SE](se.ipynb), [ECA](eca.ipynb) and [IEBN](iebn.ipynb): the three operators, each with its own chapter.
