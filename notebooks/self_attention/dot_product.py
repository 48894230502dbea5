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
# # What attention is
#
# :::{admonition} What does a mean gain when it chooses its own weights, and what does it pay?
# :class: question
#
# **It gains reach.** Each position takes from all that is like it, however far away. Without a single parameter the word
# "bank" beside "river" goes from equal parts of water and money to three times as much water.
#
# **It pays with the square of the pixels, and it loses order.** For 1,024 pixels of 64 channels a training step of its plain
# form holds 152 times the memory of a 3 x 3 convolution. Shuffle the pixels, and the output is shuffled alike, nothing more.
#
# **Alone it is not shown to help.** Behind the last stage of ResNet-20, in short runs on CIFAR-10, it is worse than no module
# on each of three seeds, by 3.77 points in the mean; three seeds are too few to say that it harms.
# :::
#
# :::{mechanism}
# :name: dot-product-mechanism
#
# ![One query looks at all positions](../../book/figures/dot_product-look.svg)
# ![Query, key and value, for four positions](../../book/figures/dot_product-steps.svg)
#
# What one query sees of a map, and the three steps of attention, for four positions.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`dot_product`. The paper was read: the NIPS 2017 text in a PDF copy, and arXiv version 5.
# **You need:** matrix products, the variance of a sum, derivatives. **Time:** half an hour.
#
# Afterwards you can compute attention by hand for four words; say what a softmax does to large scores and why they are divided by
# $\sqrt d$; write multi-head attention in 20 lines; prove that it cannot see order; and say from which size of map on its cost is
# a matter of the pixels and no longer of the channels. Symbols are those of the [notation page](../../book/notation.md), words
# those of the [glossary](../../book/glossary.md); what goes further is in [attention, deeper](dot_product_deeper.ipynb).
# :::

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Install attnlib where it is missing"}
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

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Imports"}
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("dot_product")

# %% [markdown]
# ## The idea
#
# A convolution mixes neighbours with weights that are the same for every image. A mean over the map mixes everything, and
# every position counts alike. **{term}`Attention <attention>`** is a mean over everything whose weights depend on what is there: each position
# compares itself with all positions, and takes most from those that fit it best. How far away they are does not matter.
#
# So attention needs a way to compare (a dot product), a way to make weights out of comparisons (a {term}`softmax`), and
# something to average. Nothing else. The parameters come later: they only let a network choose *what* it compares, and *what* it takes.
#
# ## Derivation
#
# ### Four words and no parameter
#
# Take "walk by river bank". "Bank" alone could be a place by the water or a place for money. Give every word a vector by hand,
# one row of $x$ each, with four entries for *motion, grammar, water, money*. Compare each word with each by a dot product:
#
# $$S_{ij} = x_i \cdot x_j = \sum_c x_{ic}\, x_{jc}.$$ (dp-scores)
#
# A softmax turns each row of scores into positive weights that add up to one,
#
# $$A_{ij} = \frac{e^{S_{ij}}}{\sum_r e^{S_{ir}}},$$ (dp-softmax)
#
# and each word becomes the mean of all words with its own weights:
#
# $$y_i = \sum_j A_{ij}\, x_j.$$ (dp-mean)

# %% tags=["nbval-check-output"]
words = ["walk", "by", "river", "bank"]
motion, grammar, water, money = torch.eye(4, dtype=torch.float64)
# walk, by, river; a bank is as much water as money
x = torch.stack([2 * motion, grammar, 2 * water, water + money])

S = x @ x.T  # S_ij = x_i . x_j
A = torch.softmax(S, -1)  # each row adds up to one
y = A @ x  # y_i = sum_j A_ij x_j

shown = pd.DataFrame(A.numpy(), columns=words)
shown.insert(0, "weights of", words)
plots.table(shown, "What each word takes from each", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# "Bank" takes 0.44 of itself and 0.44 of "river", and 0.06 of each of the others. It had as much water as money; it now has
# 1.32 of water and 0.44 of money, three times as much. "River" keeps 0.85 of itself: the same sentence tells it little.
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
finding("0.44 of itself and 0.44 of", A[3, 3].item(), A[3, 2].item())
finding("and 0.06 of each", A[3, 0].item(), A[3, 0] == A[3, 1])
wet, rich = y[3, 2].item(), y[3, 3].item()
finding("1.32 of water and 0.44 of money", wet, rich)
finding("three times as much", abs(wet / rich - 3) < 1e-9)
finding("keeps 0.85 of itself", A[2, 2].item())

# %% [markdown]
# ### What the softmax does
#
# **A constant changes nothing.** Add $t$ to all scores of a row: in {eq}`dp-softmax` the factor $e^{t}$ stands above and below,
# and cancels. Only *differences* of scores count. (So code may subtract the largest score, and no exponential overflows.)
#
# **A factor changes everything.** With $t S$ in place of $S$, the ratio of two weights is $e^{t (S_{ij} - S_{ir})}$. At $t = 0$
# all weights are alike and attention is the plain mean; for large $t$ the best score takes all. $1 / t$ is called the
# *temperature*.
#
# **What slope is left.** Take the logarithm of {eq}`dp-softmax` and derive by $S_{ir}$, with $[j = r]$ for one where $j$ is
# $r$ and zero elsewhere:
#
# $$\frac{\partial \log A_{ij}}{\partial S_{ir}} = [j = r] - A_{ir}.$$
#
# The left side is the derivative of $A_{ij}$ divided by $A_{ij}$, so
#
# $$\frac{\partial A_{ij}}{\partial S_{ir}} = A_{ij} \bigl([j = r] - A_{ir}\bigr).$$ (dp-jacobian)
#
# Let $a$ be the largest weight of the row. Its own slope is $a (1 - a)$. Every other one has as a factor the weight of another
# key, and those add up to $1 - a$. So no slope is larger than $1 - a$: where one key takes all, **no gradient is left**,
# neither for the winner nor for the losers.
#
# :::{admonition} Try it
# :class: try-it
# Make the scores four times as large. How much does "river" then give itself, and which slope is left? Say two numbers first.
# Then set `t = 4`, and after that `t = 0`.
# :::

# %%
t = 1
a = torch.softmax(t * S[2], -1).max().item()  # of "river" for itself
print(f"largest weight {a:.4f}, its slope {a * (1 - a):.4f}")

# %% [markdown]
# ### Query, key, value
#
# With $S = x x^{\top}$ a word compares itself with others by the very entries that others take from it; and "river" fits "bank"
# exactly as well as "bank" fits "river". Three matrices lift both limits. What a position *asks for* is its {term}`query`, what
# it *is found by* its {term}`key`, what it *hands over* its {term}`value`, each a projection of the same row of $x$:
#
# $$q_i = W_q\, x_i,$$
#
# $$k_j = W_k\, x_j,$$
#
# $$v_j = W_v\, x_j.$$ (dp-projections)
#
# The score of $i$ and $j$ is $q_i \cdot k_j = x_i^{\top} W_q^{\top} W_k\, x_j$. The matrix in the middle need not be symmetric, so
# that a verb can look for its noun without being looked for.
#
# ### Why divide by the root of d?
#
# Suppose the entries of $q$ and $k$ are independent, with mean 0 and variance 1. The mean of a product of independent numbers is
# the product of their means, so that one term $q_c k_c$ of the dot product has the mean 0, and its square has the mean
#
# $$\mathrm{Var}[q_c k_c] = \mathrm{E}[q_c^2]\, \mathrm{E}[k_c^2] = 1 \cdot 1.$$
#
# The terms are independent, so that their variances add up, and there are $d$ of them:
#
# $$\mathrm{Var}[q \cdot k] = \sum_{c=1}^{d} 1 = d.$$ (dp-variance)
#
# Wider heads have larger scores, of a spread of $\sqrt d$, and this is a factor $t$ that nobody chose. Divided by $\sqrt d$
# the scores have variance 1 at every width:
#
# $$A_{ij} = \operatorname{softmax}_j\!\Bigl(\frac{q_i \cdot k_j}{\sqrt d}\Bigr).$$ (dp-scaled)
#
# Now measure it: 64 random keys for each of 500 random queries.
#
# :::{admonition} Try it
# :class: try-it
# At which width does the largest of 64 weights pass one half? Say a number, then put widths of your own into the list of `d`.
# :::

# %%
rng = torch.Generator().manual_seed(0)
rows = []
for d in (4, 16, 64, 256, 1024):
    q = torch.randn(500, 1, d, generator=rng)
    k = torch.randn(500, 64, d, generator=rng)
    scores = (q * k).sum(-1)
    row = [d, scores.var().item() / d]
    for factor in (1, d**-0.5):
        a = torch.softmax(factor * scores, -1).amax(-1)
        row.append(a.median().item())
    rows.append(row)
names = ["d", "variance / d", "largest weight", "scaled"]
widths = pd.DataFrame(rows, columns=names)
plots.table(widths, "64 keys a query; medians of 500 queries", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
of = widths.set_index("d")
finding("within 10 %", (of["variance / d"] - 1).abs().max() < 0.1)
largest = of.loc[256, "largest weight"]
finding("gives one of 64 keys more than 0.97", largest > 0.97)
finding("no slope larger than 0.03", 1 - largest < 0.03)
finding("less than 0.12 at every width", of["scaled"].max() < 0.12)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The variance is $d$ within 10 % at every width. Without the scale, the median query at $d = 256$ gives one of 64 keys more
# than 0.97: by the bound above, no slope larger than 0.03 is left. Divided by $\sqrt d$, the largest weight is less than 0.12
# at every width.
# :::
#
# These vectors are random. Trained queries and keys are not independent, and may grow: the scale fixes the start alone.
#
# ### Heads
#
# A query has one row of weights, which add up to one: it cannot look at two things for two reasons.
# {term}`Heads <multi-head attention>` split the $C$
# channels of $q$, $k$ and $v$ into $M$ parts of $d = C / M$. Each has its own softmax, and a last matrix mixes their outputs:
#
# $$y_i = W_o \begin{bmatrix} \sum_j A^{(1)}_{ij} v^{(1)}_j \\ \vdots \\ \sum_j A^{(M)}_{ij} v^{(M)}_j \end{bmatrix}.$$ (dp-heads)
#
# However many heads there are, the four matrices have $C \times C$ entries each, $4\, C^2$ parameters in all. More heads are not
# always better: in the paper's own runs thirty-two do worse than eight ([deeper](dot_product_deeper.ipynb)).
#
# ### A mean without order
#
# Exchange the rows of $x$ by a permutation matrix $P$. Projections act row by row, so queries, keys and values are exchanged
# alike. The scores become $P q\,(P k)^{\top} = P\, S P^{\top}$. A softmax by rows does not care in which order a row stands, so
# the weights become $P A P^{\top}$. And since $P^{\top} P$ is the identity,
#
# :::{div} wide
# $$(P A P^{\top})(P v) = P\,(A v) = P\, y.$$ (dp-equivariance)
# :::
#
# **The output is exchanged alike, and nothing else happens** ({term}`permutation equivariance`). "Walk by river bank" and "bank by river walk" give every
# word the same vector. For a map: attention does not know which pixels are neighbours. Whoever wants order has to write
# it into the vectors, as a {term}`position encoding`. The paper adds sines and cosines of the position to $x$; $x_i$ then
# also says where $i$ is.
#
# ## The module from scratch
#
# A map of $H \times W$ pixels is $n = HW$ rows of $C$ channels. A pixel takes the place of a word.


# %%
class SelfAttention(nn.Module):
    def __init__(self, channels: int, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=False)  # W_q
        self.key = nn.Linear(channels, channels, bias=False)  # W_k
        self.value = nn.Linear(channels, channels, bias=False)  # W_v
        self.out = nn.Linear(channels, channels, bias=False)  # W_o

    def forward(self, x):
        rows = x.flatten(2).transpose(1, 2)  # (N, H W, C)
        # q = W_q x, k = W_k x, v = W_v x, in heads of d channels
        layers = (self.query, self.key, self.value)
        parts = [f(rows).unflatten(2, (self.heads, -1)) for f in layers]
        q, k, v = (part.transpose(1, 2) for part in parts)
        # A = softmax(q . k / sqrt(d))
        A = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, -1)
        # y = W_o [sum_j A_ij v_j of every head]
        y = self.out((A @ v).transpose(1, 2).flatten(2))
        return y.transpose(1, 2).reshape(x.shape)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 5 by 3 pixels so that no axis can stand in for another. A check that fails stops the
# notebook. Two checks hold the code against the equations in plain loops, which know nothing of tensors; the third shuffles
# the pixels, and the output is shuffled alike ({eq}`dp-equivariance`).


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def times(matrix, vector):
    return [sum(w * v for w, v in zip(row, vector)) for row in matrix]


def loops(rows, w_q, w_k, w_v, w_o, heads):
    """One image as rows [H W][C], row by row, head by head."""
    q, k, v = ([times(w, row) for row in rows] for w in (w_q, w_k, w_v))
    d, output = len(w_q) // heads, []
    for query in q:
        joined = []
        for own in (range(h * d, h * d + d) for h in range(heads)):
            powers = []
            for key in k:
                score = sum(query[c] * key[c] for c in own)
                powers.append(math.exp(score / math.sqrt(d)))
            for c in own:
                total = sum(p * value[c] for p, value in zip(powers, v))
                joined.append(total / sum(powers))
        output.append(times(w_o, joined))
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 16, 5, 3, dtype=torch.float64)
scratch = SelfAttention(16, heads=4).double()
library = attnlib.create("dot_product", 16, heads=4).double()
library.load_state_dict(scratch.state_dict())
matrices = [p.tolist() for p in scratch.parameters()]
images = x.flatten(2).transpose(1, 2).tolist()
by_loops = [loops(image, *matrices, heads=4) for image in images]
by_loops = torch.tensor(by_loops, dtype=x.dtype).mT.reshape(x.shape)
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
shuffled = lambda z: z.flatten(2)[:, :, order].view_as(z)
before, after = scratch(shuffled(x)), shuffled(scratch(x))
check("shuffled in = shuffled out", before, after, atol=1e-12)

# %% [markdown]
# ## What it costs
#
# For $n = HW$ pixels the four projections take $C^2$ multiply-adds (MACs) a pixel each. Scores and weighted sums take $C$ for
# each pair of pixels, all heads together:
#
# $$\mathrm{MACs} = 4\, n\, C^2 + 2\, n^2 C.$$ (dp-macs)
#
# The second part takes over where $2 n^2 C > 4 n C^2$, that is from $n = 2 C$ on. And whoever keeps all weights for the
# backward pass keeps $M n^2$ of them. So much for theory; `profile` counts what the module above really does, and the most
# bytes that it holds at once in a training step, for 64 channels and 8 heads.

# %% tags=["nbval-check-output"]
C, rows = 64, []
attention = SelfAttention(C, heads=8)
convolution = nn.Conv2d(C, C, 3, padding=1, bias=False)
for side in (4, 8, 16, 32):
    n = side * side
    ours = profile(attention, side, in_channels=C)
    theirs = profile(convolution, side, in_channels=C)
    check(f"MACs, {n} pixels", ours.macs, 4 * n * C**2 + 2 * n**2 * C)
    pairs = 100 * ours.macs_by_operator["matmul"] / ours.macs
    memory = [c.peak_memory_bytes / 1e6 for c in (ours, theirs)]
    rows.append((n, ours.macs / 1e6, pairs, theirs.macs / 1e6, *memory))
names = ["pixels", "MACs (M)", "of pairs (%)", "3 x 3 (M)"]
names += ["memory (MB)", "3 x 3 (MB)"]
cost = pd.DataFrame(rows, columns=names)

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the table"}
by_pixels = cost.set_index("pixels")
small, middle, large = (by_pixels.loc[n] for n in (16, 256, 1024))
held, near = large["memory (MB)"], large["3 x 3 (MB)"]
finding("11 % of its MACs", round(small["of pairs (%)"]))
finding("cheaper in MACs", small["MACs (M)"] < small["3 x 3 (M)"])
finding("89 %", round(large["of pairs (%)"]))
finding("102 MB, and the convolution 0.67", round(held), near)
finding("152 times", round(held / near))
finding("by a factor of 15", round(held / middle["memory (MB)"]))
plots.table(cost, "Attention beside a 3 x 3 convolution", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At 16 pixels, pairs make 11 % of its MACs, and attention is cheaper in MACs than a 3 x 3 convolution. At 1,024 pixels they
# make 89 %. There a training step holds 102 MB, and the convolution 0.67: that is 152 times as much. From 256 pixels to
# 1,024 the memory grows by a factor of 15; the square would be 16.
# :::
#
# This is the plain form, which holds all weights. They need not be held: a fused function, such as PyTorch's, makes a few rows
# at a time and throws them away. It saves the memory and not the MACs; [the deeper page](dot_product_deeper.ipynb) derives it.

# %% [markdown]
# ## Does it train, does it help?
#
# ### Live, on generated shapes
#
# The package draws images to train on: 32 by 32 pixels, one of ten shapes on a cluttered ground, and a mask that says which
# pixels are the object. A ResNet of eight layers in three stages trains on them for three epochs. Attention of four heads
# stands behind its second stage: 256 pixels of 32 channels go in, and 256 mixed pixels go on.

# %% mystnb={"figure": {"caption": "The live network by epoch.", "name": "dot-product-live"}, "image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}}
where = {"placement": "layer2", "attention_args": {"heads": 4}}
trained = train(chapter_recipe("dot_product", seed=0, **where))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 40 %", trained.record.final.accuracy > 0.4)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 40 % of the held-out images, where chance is a tenth: it trains. Whether
# attention helps, one short run cannot say.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images take longer, so these runs were recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on
# 10,000. Attention of eight heads stands behind the last stage, on 64 pixels of 64 channels. There are two {term}`controls <control>`: no module,
# and a *constant*, which multiplies every residual branch by one half. A seed sets the first weights and the order of the
# images; runs of one seed are compared with each other.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test accuracy of every recorded run, a point for each seed; the bar is the mean.", "name": "dot-product-cifar"}, "image": {"alt": "Test accuracy of every recorded run as a point. Attention behind the last stage lowest, no module above it, the constant gate highest."}, "code_prompt_show": "Draw the figure"}
keys = ("none", "constant", "dot_product(placement=layer3)")
runs = [run for key in keys for run in records("cifar10-slice", key)]
plots.accuracies(runs)
row = {r.label: r for r in attnlib.report(runs, baseline="none").rows}
mixed = row[keys[2]]
low, high = mixed.student
finding("each of three seeds", len(mixed.seeds) == 3)
worse = [-difference for difference in mixed.differences]
finding("by 2.07, 5.74 and 3.49", *worse, min(worse) > 0)
finding("3.77 points in the mean", -mixed.difference)
finding("-8.36 to 0.83", low, high)
finding("above it, too", row["constant"].mean > mixed.mean)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Attention is worse than no module on each of three seeds, by 2.07, 5.74 and 3.49 points, 3.77 points in the mean. Three
# seeds are few: the 95 % interval of the difference, -8.36 to 0.83, does not leave zero out. The constant gate, which knows
# nothing, is above it, too.
# :::
#
# Why might it lose there? Right behind it the network takes the mean over all pixels. In such a mean it is lost which pixel took
# what: only the average of all rows of weights counts (the [next chapter](non_local.ipynb) proves it). And the
# {term}`transformer` layer of the paper has more than this one, among other things a shortcut around attention and a code of
# positions. These runs do not say which of these is missed. [The records of all modules](../accuracy.ipynb) have blocks of this
# family with a shortcut.
#
# ## Look inside
#
# ### Does a pixel of the object look at the object?
#
# Two hundred fresh images go through the live network. A mask, averaged over 2 by 2 pixels, says how much of a pixel of the map
# is object. A plain mean gives the object its share of the area. What does a query on the object give it, what one on the ground?

# %%
images, classes, masks = generate(200, seed=7)
if lane() == "full":  # a network that knows shapes
    trained = train(
        Recipe.named("smoke", attention="dot_product", **where)
    )
model = trained.model.cpu().eval()
with (
    torch.no_grad(),
    plots.captured(model, lambda module, x: module.weights(x)) as seen,
):
    model(trained.inputs(images))
(weights,) = seen.values()  # N, heads, queries, keys

# %%
objects = torch.tensor(masks).float()[:, None]
cover = nn.functional.avg_pool2d(objects, 2).flatten(1)  # N, 256
area = cover.mean().item()
given = (weights @ cover[:, None, :, None])[..., 0]  # N, heads, queries


def from_queries(part):
    """What the queries of a part give the object: every head, mean."""
    of_heads = (given * part[:, None]).sum((0, 2)) / part.sum()
    return [*of_heads.tolist(), of_heads.mean().item()]


on_object, on_ground = from_queries(cover), from_queries(1 - cover)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What queries give the object, head by head; the dotted line is the object's share of the area.", "name": "dot-product-heads"}, "image": {"alt": "For four heads and their mean, the share of attention on the object: from queries on the object it is above the object's share of the area in the mean, from queries on the ground below it; heads differ widely."}, "code_prompt_show": "Draw the figure"}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
look = plots.look("dot_product")
for part, values, face in (
    ("queries on the object", on_object, look.colour),
    ("queries on the ground", on_ground, "none"),
):
    percent = [100 * value for value in values]
    style = look.points(ls="", mfc=face, label=part)
    axis.plot(percent, range(5), **style)
axis.axvline(100 * area, color=plots.INK, ls=":")
names = [*(f"head {n}" for n in range(1, 5)), "all heads"]
axis.set_yticks(range(5), names)
axis.set(ylim=(4.6, -0.6), xlabel="attention on the object (%)")
axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1))
finding("more than 1.2 times its share", on_object[-1] > 1.2 * area)
finding("less than its share", on_ground[-1] < area)
spread = max(on_object[:-1]) - min(on_object[:-1])
finding("more than 30 points", spread > 0.3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A pixel of the object gives the object more than 1.2 times its share of the area, a pixel of the ground less than its share:
# like looks at like, and nobody told the network where the object is. But heads are not alike, and a mean over them hides it: what a pixel of the object
# gives the object differs between two of them by more than 30 points.
# :::
#
# Now three of these images. The same network, the mean of its heads, and two queries an image, each marked by a circle: a pixel
# that is all object, and the top left corner. Where a map reads 1, the query gives what a plain mean would give; 15 and more is
# yellow.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Three images, and where two queries of each look: the pixel of the object picks out parts of it, the corner takes a little from everywhere.", "name": "dot-product-looks"}, "image": {"alt": "Three rows: an image, what a query on its object attends to, and what the top left corner attends to."}, "code_prompt_show": "Draw the figure"}
inside = cover.argmax(1)
mean = weights.mean(1)
every = torch.arange(200)
looks = [mean[every, inside], mean[every, 0]]
figure = plots.show_maps(
    images[:3],
    [256 * look[:3].view(3, 16, 16) for look in looks],
    titles=["object asks", "corner asks"],
    limits=(0, 15),
    label="times the plain mean",
)
for n, query in enumerate(inside[:3].tolist()):
    for panel, place in enumerate((query, 0), start=3 * n + 1):
        axis, (row, column) = figure.axes[panel], divmod(place, 16)
        axis.plot(column, row, "o", mfc="none", mec="w", ms=8)
own, corner = ((look * cover).sum(1) for look in looks)
finding("more than half", (own > corner).float().mean() > 0.5)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In more than half of the 200 images the pixel on the object gives the object more than the corner does.
# :::
#
# That a pixel *looks* at the object does not show that the network *needs* to look there. The
# [next chapter](non_local.ipynb) takes a network's looks away to find out.
#
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the
# code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """vocabulary french cost-self-attention faster-than-recurrent
    small-gradients parameters-by-heads equal-at-two-d single-head"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
those = "vocabulary biases wavelengths norm self-attention-cost".split()
rows = [(d.id, d.text) for d in paper.differences if d.id in those]
differing = pd.DataFrame(rows, columns=["where", "what differs"])
plots.table(differing, "Paper and released code")

# %% [markdown]
# ## Quiz
#
# ```{quiz} Ten is added to all scores of one query. What becomes of its weights?
# - [ ] They become sharper.
#
#   That is what a factor does. Ten times the scores would be sharper, scores plus ten are not.
# - [x] Nothing: they stay as they are.
#
#   A factor of e to the ten stands above and below, and cancels. Only differences of scores count.
# - [ ] They no longer add up to one.
#
#   A softmax divides by the sum, whatever the scores are.
# ```
#
# ```{quiz} What is the division by the root of d for?
# - [ ] It makes the weights add up to one.
#
#   The softmax does that, with or without it.
# - [ ] It makes attention cheaper.
#
#   It is one more multiplication for each score.
# - [x] It keeps the variance of the scores at one, whatever the width of a head.
#
#   Without it, wide heads start where one key takes nearly all, and where next to no gradient is left.
# ```
#
# ```{quiz} The pixels of a map are shuffled before attention without positions. What happens?
# - [ ] The output stays as it was.
#
#   It is shuffled in the same way. Only what follows a global mean stays as it was.
# - [x] The output is shuffled in the same way.
#
#   Every pixel still meets the same set of pixels, and takes the same mean of them.
# - [ ] The output changes altogether, because neighbours are no longer neighbours.
#
#   A convolution would notice. Attention compares all pairs, and knows of no neighbours.
# ```
#
# ```{quiz} The number of heads is doubled at the same number of channels. What grows?
# - [ ] The parameters.
#
#   Four matrices of C x C entries, whatever the heads.
# - [ ] The multiply-adds.
#
#   Twice as many heads, each half as wide.
# - [x] The weights that are held in memory.
#
#   There is one table of n x n weights for each head.
# ```
#
# ```{quiz} A map of 64 channels grows from 32 x 32 to 64 x 64. How do the multiply-adds for pairs of pixels grow?
# - [ ] By a factor of 4.
#
#   The pixels do, and so do the projections. Pairs grow with the square of the pixels.
# - [x] By a factor of 16.
#
#   Four times the pixels make sixteen times the pairs.
# - [ ] By a factor of 2, as the side does.
#
#   The number of pixels is the square of the side, and the number of pairs the square of that.
# ```
#
# ## Exercises
#
# ````{exercise} More money than water
# :label: dot-product-exercise-bank
#
# *Easy, 5 minutes.* Let "bank" be $(0, 0, 1, 2)$, the other words as above. Which weight does it give "river", to three decimals?
#
# :::{dropdown} Hint
# Four dot products, four exponentials. The scores of "walk" and "by" are zero.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-bank", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-bank
# :class: dropdown
# ````
#
# "River" has the score 2, as before, but "bank" itself now has $1 + 4 = 5$. A longer vector fits itself better: it hardly moves.

# %%
powers = [math.exp(score) for score in (0, 0, 2, 5)]
river = powers[2] / sum(powers)
print(f"{river:.3f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-bank", right=river, wrong=[0.440, 0.941, 0.119]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} As dear as a convolution
# :label: dot-product-exercise-break-even
#
# *Easy, 10 minutes.* At how many pixels does attention of 256 channels take exactly as many multiply-adds as a
# 3 x 3 convolution from 256 to 256 channels?
#
# :::{dropdown} Hint
# The convolution takes $9\, n\, C^2$. Set it equal to {eq}`dp-macs`.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-break-even", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-break-even
# :class: dropdown
# ````
#
# $4 n C^2 + 2 n^2 C = 9 n C^2$ gives $n = \tfrac52 C$, a map of about 25 by 25 pixels. In the last stages of a network maps are
# smaller and channels more: there attention is cheaper than a convolution.

# %%
even = 5 * 256 // 2
print(even)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-break-even", right=even, wrong=[512, 1280, 25]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The steepest slope
# :label: dot-product-exercise-slope
#
# *Medium, 10 minutes.* Scores may have any values, and any number of keys there may be. How large can an entry of
# {eq}`dp-jacobian` become, in absolute value?
#
# :::{dropdown} Hint
# One entry is $a\,(1 - a)$, another $-a\,b$ with two weights that add up to one at most.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-slope", ...)  # your number

# %% [markdown]
# ````{solution-start} dot-product-exercise-slope
# :class: dropdown
# ````
#
# $a\,(1 - a)$ is largest at one half. And $a\,b \le a\,(1 - a)$, so that nothing is steeper. A query that hesitates between
# two keys learns fastest.

# %%
steepest = max(a * (1 - a) for a in torch.linspace(0, 1, 101).tolist())
print(steepest)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-slope", right=steepest, wrong=[1, 0.5]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Does it miss the positions?
# :label: dot-product-exercise-positions
#
# *Research, 45 minutes.* Train the recipe `smoke` from five seeds with `placement="layer3"`, and once more with
# `attention_args={"positions": "learned"}`. Does the interval of the paired differences (`attnlib.report`) leave zero out? To
# begin with: how many parameters do learned positions add for the map of 8 by 8 pixels with 64 channels?
#
# :::{dropdown} Hint
# One vector for each pixel is added to the map.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-positions", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-positions
# :class: dropdown
# ````
#
# 64 vectors of 64 channels. The rest is an experiment, and yours: say the number of seeds, the mean of the paired differences
# and its interval, whatever comes out.

# %%
learned = {"positions": "learned", "size": 8}
added = attnlib.create("dot_product", 64, **learned).position.numel()
print(f"{added:,}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-positions", right=added, wrong=[0, 64, 512]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. Attention is a mean over all positions whose weights come from comparing them. It needs no parameters to do that.
# 2. Query, key and value let a network choose what it compares and what it takes; heads let it do so for several reasons.
# 3. Scores grow with the width of a head; a softmax of large scores has hardly any gradient. Hence the division by the root of $d$.
# 4. It knows no order: shuffled in, shuffled out. Positions have to be written into the vectors.
# 5. From $n = 2C$ pixels on its cost grows with their square; behind a network's last stage, alone, it did not pay here.
# :::
#
# ## Further reading
#
# * The paper {cite}`dot_product`: encoder, decoder, positions by sines, and how it was trained.
# * [SE](../scale_attention/se.ipynb) is the other family: it turns channels down and moves nothing between positions.
# * [Costs](../costs.ipynb) and [accuracy](../accuracy.ipynb) have the modules of this family beside all others.
