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
# # A short history
#
# :::{admonition} What did attention replace?
# :class: question
#
# **First, a single vector.** A recurrent network that has to squeeze a word into one vector says 36.1 % of the letters
# of 12-letter words backwards. With a context for each letter, after as many training steps, it says 74.0 %.
#
# **Then, reading everything, but at a price.** A network that draws one place to look at reads 320 numbers of each
# colour in place of 4,160, and learned too little from that: it names 51.0 % of the pictures, and 50.2 % with a random
# place. One that averages over all places reads them all, and names 60.2 %.
#
# **At last, waiting.** Attention alone says 100.0 % of those letters, and what has to be computed one after the other
# does not grow with the word. It pays for this with positions: without them it says 18.5 %. (Means of 3 seeds.)
# :::
#
# :::{mechanism}
# :name: history-mechanism
# :symbols: p:gate
#
# ![Three ways from the letters read to the letters said](../../book/figures/history-ways.svg)
# ![From one vector to two families](../../book/figures/history-years.svg)
#
# What attention replaced, in the order of the years, and the papers of this book.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Papers:** {cite:t}`additive`, read in a PDF copy of arXiv 1409.0473; {cite:t}`glimpses`, not read, known from a
# re-implementation; {cite:t}`dot_product`, read. Every number here is measured on toys of ours. **You need:** the chain
# rule, a mean over random draws, basic PyTorch. **Time:** half an hour.
#
# Afterwards you can derive additive attention and the gradient through a random choice, say what hard and soft
# attention trade, count which steps wait, and prove that without positions no word can be turned around.
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

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Imports"}
import matplotlib.pyplot as plt
import pandas as pd
import torch

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.reversal import ALPHABET, reversal, spelled
from attnlib.networks.glimpses import GlimpseNetwork, cut
from attnlib.networks.reversing import Attending, Recurrent
from attnlib.profiling.waiting import longest_chain
from attnlib.results import measurements
from attnlib.self_attention.additive import AdditiveAttention
from attnlib.training import fit
from attnlib.training.glimpses import judged, pictures, train_glimpses

plots.use()

# %% [markdown]
# ## The idea
#
# In 2014 a network translated a sentence with two {term}`recurrent networks <recurrent network>`. One, the encoder,
# read it word by word into one vector; the other, the decoder, said the translation from that vector
# {cite:p}`encoder_decoder`. Whatever the sentence holds has to fit into the vector. {cite:t}`additive` let the decoder
# look back at *every* word while it says each of its own, with weights that it learns. {cite:t}`glimpses` gave a
# network a small window that it moves over a large picture: it *chooses* what to look at and reads no more.
# {cite:t}`dot_product` kept the looking and left out the recurrence.
#
# Each of these steps has a toy here. For words: say a word backwards, `left` as `tfel`. For pictures: name the object
# in a large picture of which a network sees all coarsely, and sharply only what one window holds, a sixteenth of it.
#
# ## Derivation
#
# ### One vector
#
# A recurrent network (here a {term}`GRU`) reads the letters $x_1, \dots, x_n$, and its state changes with each. (The
# toy reads in both directions, one half of the state each, as {cite:t}`additive` do; the picture has one of them.)
#
# $$h_j = f(h_{j-1}, x_j).$$ (history-read)
#
# The decoder has a state $s_i$ of its own. With one fixed vector it starts from the last state $c = h_n$ and sees it at
# every step:
#
# $$s_i = g(s_{i-1}, c).$$ (history-write)
#
# How does the letter said at step $i$ hear of the letter read at $j$? Along the chain, by the chain rule through all
# states in between:
#
# $$\frac{\partial s_1}{\partial h_j} = \frac{\partial s_1}{\partial h_n}\, \frac{\partial h_n}{\partial h_{n-1}} \cdots
# \frac{\partial h_{j+1}}{\partial h_j}.$$ (history-chain)
#
# Each of so many factors can shrink what passes. And there are $26^n$ words, all of which $c$ has to tell apart.
#
# ### A context for each letter
#
# Keep all states $h_1, \dots, h_n$. Before step $i$ the decoder compares what it knows, $s_{i-1}$, with each of them. A
# layer of tanh units looks at the two together, and a vector $v$ makes one score of it:
#
# $$e_{ij} = v^{\top} \tanh(W s_{i-1} + U h_j).$$ (history-score)
#
# A softmax makes weights of the scores of a row ([why, and what it does](../self_attention/dot_product.ipynb)):
#
# $$\alpha_{ij} = \frac{e^{e_{ij}}}{\sum_r e^{e_{ir}}}.$$ (history-softmax)
#
# The context of step $i$ is the mean of all states with these weights, and takes the place of $c$ in
# {eq}`history-write`:
#
# $$c_i = \sum_j \alpha_{ij}\, h_j.$$ (history-context)
#
# **What is gained.** Hold the weights fixed and derive: $\partial c_i / \partial h_j = \alpha_{ij}$ times the identity.
# One factor in place of the chain {eq}`history-chain`, and where the weight is near one, nothing shrinks.
#
# **Why a tanh?** Without it $W s_{i-1}$ would add the same number to all scores of a row, which a softmax ignores:
# every letter said would look at the same place. With it no score leaves $\pm \lVert v \rVert_1$, the sum of the
# absolute values of $v$, since no tanh leaves $\pm 1$; so two weights differ at most by the factor
# $e^{2 \lVert v \rVert_1}$.
#
# ### A choice has no gradient
#
# Now a picture, and a window that sees one place $l$ of it. The network has weights $p(l)$ for all places, a softmax of
# scores $s_l$. *Soft* attention does what {eq}`history-context` does: it averages what is seen at all places, and
# therefore has to look at all. *Hard* attention draws one place from $p$ and looks there alone. But a draw has no
# derivative. What can be improved is the mean reward: with $R(l) = 1$ where the picture is then named rightly and 0
# otherwise,
#
# $$J = \sum_l p(l)\, R(l).$$ (history-reward)
#
# Derive $J$; then write $\nabla p = p\, \nabla \log p$; then read the sum over $p$ as a mean over draws:
#
# $$\begin{aligned} \nabla J &= \sum_l \nabla p(l)\, R(l) \\
# &= \sum_l p(l)\, R(l)\, \nabla \log p(l) \\
# &= \mathrm{E}_{l \sim p}\bigl[R(l)\, \nabla \log p(l)\bigr]. \end{aligned}$$ (history-reinforce)
#
# So the gradient can be *estimated from the places that were looked at*: {term}`REINFORCE` {cite:p}`reinforce`. The
# estimate is noisy. A number $b$ that does not depend on the draw may be subtracted from $R$, since
#
# $$\begin{aligned} \mathrm{E}\bigl[b \nabla \log p(l)\bigr] &= b \nabla \sum_l p(l) \\
# &= b \nabla 1 = 0. \end{aligned}$$ (history-baseline)
#
# The mean is the same whatever $b$ is, the noise is not. A usual baseline is the mean reward of the batches before.
# How noisy is it? Take one picture, $L$ places of equal weight, and $b = J$. The gradient by the scores has entries
# $(R(l) - J) / L$; one estimate is $G = (R(l) - J)(e_l - p)$, where $e_l$ has a one at the place drawn. With $\sigma^2$
# for the variance of $R$ over the places, their squared lengths are
#
# $$\begin{aligned} \lVert \nabla J \rVert^2 &= \sigma^2 / L, \\
# \mathrm{E} \lVert G \rVert^2 &= \sigma^2 (1 - 1 / L). \end{aligned}$$ (history-noise)
#
# So the second is $L - 1$ times the first. The noise is what $G$ has beside its mean, the gradient: $L - 2$ times the
# squared length, or 6.9 times the length for 49 places, whatever the rewards are.
#
# ### No chain at all
#
# What a position takes from others can be computed for all at once, if queries do not come from a chain of states.
# Compare the positions themselves, by [scaled dot products](../self_attention/dot_product.ipynb):
#
# $$y = \operatorname{softmax}\Bigl(\frac{q\, k^{\top}}{\sqrt d}\Bigr)\, v.$$ (history-dot)
#
# With the chain went the order. [Exchanged rows come out exchanged](../self_attention/dot_product.ipynb), and nothing
# else happens. Hence **without positions a word cannot be turned around**: in `aab` the first two rows are alike, so
# that their outputs are alike, while the word backwards wants `b` and `a` there.
#
# With positions it can, by a rule one can write down. Let the vector of a letter hold two codes, of its place counted
# from the start and from the end. The query picks the one, the key the other, and the two agree exactly at the mirrored
# place.
#
# ## From scratch
#
# Additive attention, for all steps of one word at once; and the estimate of {eq}`history-reinforce`, as a loss whose
# gradient it is (with a minus, since losses are made small).


# %%
def additive(s, h, W, U, v):
    """s (N, Q, states), h (N, K, states): the contexts and the weights."""
    # e_ij = v . tanh(W s_i + U h_j)
    e = torch.tanh((s @ W.T)[:, :, None] + (h @ U.T)[:, None]) @ v
    alpha = torch.softmax(e, -1)  # each row adds up to one
    return alpha @ h, alpha  # c_i = sum_j alpha_ij h_j


def reinforce(scores, place, reward, baseline):
    """Minus the mean of (R - b) log p(place)."""
    log_p = scores.log_softmax(1).gather(1, place[:, None])[:, 0]
    return -((reward - baseline) * log_p).mean()


# %% [markdown]
# ## It is right
#
# Additive attention against the package, whose tests hold it against plain loops, and for one step letter by letter.
# Then the estimator: for 49 places the mean over draws can be written out, as every place's gradient times its
# probability, and has to be the exact gradient of $J$, with any baseline. At equal weights its noise is what
# {eq}`history-noise` says.

# %% tags=["nbval-check-output"]
rng = torch.Generator().manual_seed(0)
draw = {"generator": rng, "dtype": torch.float64}
s, h = torch.randn(2, 3, 4, **draw), torch.randn(2, 5, 6, **draw)
library = AdditiveAttention(4, 6, 7).double()
layers = (library.query, library.key, library.score)
W, U, v = (layer.weight.detach() for layer in layers)
v = v[0]
contexts, alpha = additive(s, h, W, U, v)
check("additive = attnlib", contexts, library(s, h)[0], atol=1e-12)
first = torch.stack([v @ torch.tanh(W @ s[0, 0] + U @ y) for y in h[0]])
one = sum(w * each for w, each in zip(first.softmax(0), h[0]))
check("additive = letter by letter", contexts[0, 0], one, atol=1e-12)
far = additive(1e6 * s, 1e6 * h, W, U, v)[1]
ratio = (far.amax(-1) / far.amin(-1)).max()
check("the bound", bool(ratio <= torch.exp(2 * v.abs().sum())), True)

# %% tags=["nbval-check-output"]
scores = torch.randn(1, 49, **draw).requires_grad_()
reward = torch.rand(49, **draw)  # of looking at each place
p = scores.softmax(1)[0]
(exact,) = torch.autograd.grad((p * reward).sum(), scores)
for b in (0.0, 0.5):
    mean = torch.zeros_like(exact)
    for place in range(49):
        there = torch.tensor([place])
        loss = reinforce(scores, there, reward[there], b)
        mean -= p[place].item() * torch.autograd.grad(loss, scores)[0]
    check(f"mean of estimates, b = {b}", mean, exact, atol=1e-12)
gain = reward - reward.mean()
each = gain[:, None] * (torch.eye(49) - 1 / 49)  # row l: place l drawn
noise = (each - gain / 49).square().sum(1).mean().sqrt()
ratio = noise / (gain / 49).norm()
check("noise = sqrt(47) gradients", ratio**2, 47.0, atol=1e-5)

# %% [markdown]
# For the glimpse one network of convolutions without borders serves both kinds of attention: on a cut-out window it
# gives one vector, on the whole picture the vectors of all places at once, and they are the same. And without positions
# two equal letters get equal outputs, wherever they stand.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
network = GlimpseNetwork("soft").double()
picture = torch.rand(1, 3, 64, 64, **draw)
every = torch.arange(49)
one_by_one = network.glimpse(cut(picture.expand(49, -1, -1, -1), every))
at_once = network.glimpse(picture).flatten(2)[0].T
check("49 windows = one map", one_by_one.flatten(1), at_once, atol=1e-12)
word = torch.tensor([[ALPHABET.index(letter) for letter in "aab"]])
said = Attending(positions=False).double()(word)
check("first two letters of aab", said[..., 0], said[..., 1], atol=1e-12)

# %% [markdown]
# ## What it costs
#
# **Waiting.** PyTorch keeps the graph of what was computed from what. The longest chain in it is the number of
# operations that have to wait for each other, however many processors there are.

# %%
kinds = {
    "one vector": Recurrent(attention=False),
    "additive": Recurrent(attention=True),
    "attention alone": Attending(positions=True),
}
chains = pd.DataFrame({"letters": [4, 8, 16, 32]})
some = [torch.zeros(1, n, dtype=torch.long) for n in chains.letters]
for name, network in kinds.items():
    chains[name] = [longest_chain(network(word)) for word in some]
plots.table(chains, "The longest chain of operations")

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
of = chains.set_index("letters")
doubled = (of.loc[32] - of.loc[16]) / (of.loc[16] - of.loc[8])
finding("twice as many", (doubled.iloc[:2] == 2).all())
longer = of["additive"] > of["one vector"]
finding("Attention makes it longer", longer.all())
same = of["attention alone"].nunique() == 1
finding("the same for 4 letters and for 32", same)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Both recurrent networks have a chain that grows with the word: the step from 16 to 32 letters adds twice as many
# operations as that from 8 to 16. Attention makes it longer, it does not shorten it: each step of the decoder now also
# waits for its context. Without recurrence the chain is the same for 4 letters and for 32.
# :::
#
# **Reading.** Of a picture of 64 x 64 pixels the coarse view holds the means of 8 x 8 cells, 64 numbers of each colour.
# A glimpse of 16 x 16 pixels adds 256, all places together 4,096.
#
# ## Does it train, does it help?
#
# ### Words
#
# Four networks, from three seeds each, all trained for 600 steps of 64 words of 2 to 12 letters
# (`benchmarks/history_toys.py`). Then each says fresh words backwards, among them longer ones than in training.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Letters said rightly against the letters of the word, 2 to 24, for four networks. Attention alone and additive attention are highest and fall beyond 12 letters; one vector falls earlier; attention alone without positions is lowest."}, "figure": {"caption": "Letters said rightly, by the length of the word; every seed, and the means as lines. Right of the dotted line, words are longer than any in training: there all lose letters.", "name": "history-words"}} tags=["hide-input"]
runs = pd.DataFrame(measurements("history-toys").rows)
runs["accuracy"] *= 100
words = runs[runs.task == "reversal"]
KINDS = {
    "fixed": ("one vector", plots.FAINT, "s", "--"),
    "additive": ("additive attention", plots.STATISTIC, "o", "-"),
    "positions": ("attention alone", plots.OUTPUT, "D", "-"),
    "no positions": ("alone, no positions", plots.OUTPUT, "d", ":"),
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.6))
for kind, (label, colour, marker, line) in KINDS.items():
    rows = words[words.network == kind]
    face = colour if line == "-" else "none"
    style = {"color": colour, "marker": marker, "mfc": face}
    axis.plot(rows.length, rows.accuracy, ls="", ms=5, **style)
    means = rows.groupby("length").accuracy.mean()
    axis.plot(means, ls=line, ms=5, label=label, **style)
axis.axvline(12.5, color=plots.INK, ls=":", lw=1)
axis.set(xlabel="letters of the word", ylabel="letters right (%)")
axis.set(ylim=(0, 105), xticks=[2, 6, 12, 16, 20, 24])
above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
axis.legend(frameon=False, ncols=2, **above)
table = words.pivot_table("accuracy", "network", "length")
twelve, longer = table.loc[list(KINDS), 12], table.loc[list(KINDS), 24]
finding("36.1 %, additive attention 74.0 %, alone 100.0 %", *twelve[:3])
finding("without positions 18.5 %", twelve.iloc[3])
finding("it turns, 100.0 %", table.loc["no positions", 2])
finding("21.2 %, 38.5 %, 59.2 % and 14.0 %", *longer)
far = words[(words.network == "positions") & (words.length == 24)].accuracy
finding("the third from 52.0 to 63.0 %", far.min(), far.max())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Of the letters of 12-letter words, one vector gives 36.1 %, additive attention 74.0 %, alone 100.0 %, and without
# positions 18.5 %, in the mean of three seeds. (Words of two letters it turns, 100.0 %: each letter says the other
# one.) On 24 letters, twice as many as any in training had, it is 21.2 %, 38.5 %, 59.2 % and 14.0 %, the third from
# 52.0 to 63.0 %: what they learned does not reach that far.
# :::
#
# Two of them live, on words of at most 8 letters and for 400 steps:


# %%
def trained(kind, **arguments):
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)

    def batch():
        length = torch.randint(2, 9, (1,), generator=g)
        return reversal(64, int(length), g)

    return fit(kind(**arguments), batch, steps=400, learning_rate=1e-2)


networks = {
    "additive": trained(Recurrent, attention=True),
    "alone": trained(Attending, positions=True),
}

# %%
fresh, backwards = reversal(200, 8, torch.Generator().manual_seed(5))
right = {}
for name, network in networks.items():
    with torch.no_grad():
        said = network(fresh).argmax(1)
    right[name] = 100 * (said == backwards).double().mean().item()
    print(f"{name}: {spelled(fresh[0])}, {spelled(said[0])}")

# %% [markdown]
# ### Pictures
#
# The pictures are 64 x 64 pixels, with two objects of one class out of four, on opposite sides of the middle; either
# will do. All networks see the coarse view. They differ in where the one glimpse lies: nowhere, at a random place, in
# the centre of the picture, nearest to an object (an {term}`oracle`: it is told), drawn from a softmax that is learned
# by REINFORCE (hard), or everywhere, averaged by that softmax (soft). Between these two stands hard attention that
# tries all places of every picture while it learns, so that its gradient is the exact one, without the noise of the
# draw. Each is trained for 500 steps from three seeds.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Seven rows of points. The network that is told the place is rightmost, then soft attention; hard attention, random and no glimpse lie together on the left, the centre a little to the right of them. Hard attention with the exact gradient is spread from there to the right of soft attention."}, "figure": {"caption": "Pictures named rightly, every seed, by where the glimpse lies, and how many numbers of each colour are read while it learns. The dotted line is a guess among four classes. Drawn places stand where random ones do.", "name": "history-glimpses"}} tags=["hide-input"]
looks = runs[runs.task == "glimpse"]
WAYS = {
    "none": "no glimpse",
    "random": "random",
    "centre": "centre",
    "hard": "hard: drawn",
    "exact": "hard, exact gradient",
    "soft": "soft: averaged",
    "oracle": "oracle: told",
}
tried = {"hard": "hard", "exact": "soft", "soft": "soft"}  # in training
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
for row, way in enumerate(WAYS):
    points = looks[looks.network == way].accuracy
    colour = plots.GATE if way in tried else plots.FAINT
    axis.plot(points, [row] * len(points), "o", color=colour)
    axis.plot(points.mean(), row, "|", color=plots.INK, ms=16)
read = [GlimpseNetwork(tried.get(way, way)).pixels() for way in WAYS]
labels = [f"{name} ({n:,})" for name, n in zip(WAYS.values(), read)]
axis.set_yticks(range(len(WAYS)), labels)
axis.set(xlabel="named rightly (%)", ylim=(6.5, -0.5))
axis.axvline(25, color=plots.INK, ls=":", lw=1)
by = looks.groupby("network").accuracy.mean()
off = looks.groupby("network").pixels_off.mean()
steps = measurements("history-toys").settings["glimpses"]["steps"]
one = [by["hard"], by["random"], by["none"]]
finding("it names 51.0 %, a random place 50.2 %, no glimpse 49.7 %", *one)
finding("11.8 pixels from the nearer object", off["hard"])
finding("a random place lies 16.4 pixels from it", off["random"])
two = by["soft"], off["soft"]
finding("names 60.2 %, its heaviest place 3.0 pixels from one", *two)
finding("told the place names 70.6 %", by["oracle"])
finding("from its glimpse in 500", steps, abs(one[0] - one[1]) < 2)
hard = looks[looks.network == "hard"]
exact_gradient = looks[looks.network == "exact"].accuracy
finding("15.3 times as long", hard.noise.mean())
finding("names 51.6 % when it is then told", 100 * hard.told.mean())
finding("53.7 %, 62.6 % and 51.1 %", *exact_gradient)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Hard attention gains nothing from its glimpse in 500 steps: it names 51.0 %, a random place 50.2 %, no glimpse 49.7 %.
# In the median picture it looks 11.8 pixels from the nearer object; a random place lies 16.4 pixels from it. Soft
# attention, by a softmax of the same scores, names 60.2 %, its heaviest place 3.0 pixels from one. A network that is
# told the place names 70.6 %. (Means of three seeds.)
# :::
#
# :::{admonition} Finding
# :class: finding
# Two reasons can be told apart. *Noise.* For a batch of 64 pictures, in the weights that make the scores, the noise of
# the estimate is 15.3 times as long as the gradient. *Nothing to find yet.* A network that learned from places drawn
# almost evenly names 51.6 % when it is then told the place: a window on an object is worth next to nothing to it.
# Without the noise, by the exact gradient, the three seeds name 53.7 %, 62.6 % and 51.1 %: the noise is one reason, and
# not the only one.
# :::
#
# So reading little is cheap, and learning where to read is dear. A place that was drawn gets one number back, right or
# wrong; an average tells each of the 49 places how it should change, and every window teaches the network. Live:

# %%
train, unseen = pictures(2000, seed=0), pictures(500, seed=1)
looker = train_glimpses("soft", train, steps=100)
found = judged(looker, unseen)
print({name: round(value, 2) for name, value in found.items()})

# %% [markdown]
# ## Look inside
#
# The weights of both networks for one word: a row is a letter said, a column one read. Nobody told them where to look.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two matrices of eight letters by eight. In both, the dark cells lie on the diagonal from top right to bottom left."}, "figure": {"caption": "What each letter said takes from each letter read, for the word backward, both after 400 steps: the diagonal turns it around.", "name": "history-weights"}} tags=["hide-input"]
mine = torch.tensor([[ALPHABET.index(letter) for letter in "backward"]])
shown, mirrored = {}, {}
mirror = torch.arange(7, -1, -1)
for name in ("additive", "alone"):
    with torch.no_grad():
        shown[name] = networks[name].with_weights(mine)[1][0]
        weights = networks[name].with_weights(fresh)[1]
    mirrored[name] = (weights.argmax(2) == mirror).double().mean()
_, axes = plt.subplots(1, 2, figsize=(plots.COLUMN, 2.6), sharey=True)
for axis, (name, matrix) in zip(axes, shown.items()):
    axis.imshow(matrix, cmap="Greys", vmin=0, vmax=1)
    letters = range(len(matrix))
    axis.set_xticks(letters, spelled(mine[0]))
    axis.set_yticks(letters, spelled(mine[0])[::-1])
    axis.set(title=name, xlabel="read")
    axis.grid(False)
axes[0].set_ylabel("said")
finding("more than 60 %", right["additive"] > 60)
finding("more than 90 % with attention alone", right["alone"] > 90)
finding("more than 55 %", mirrored["additive"] > 0.55)
finding("in more than 90 %", mirrored["alone"] > 0.90)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After seconds of training, of 200 fresh words of 8 letters more than 60 % of the letters are said rightly with
# additive attention, more than 90 % with attention alone. The heaviest weight lies on the mirrored letter, the diagonal
# from top right to bottom left, in more than 55 % of the steps and in more than 90 %.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Both have seen words of 8 letters at most. Put a longer word in place of `backward`: which letters does each lose
# first?
# :::
#
# Where the network with soft attention looks: its weights over the 49 places, and the window at the heaviest.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four pictures of two shapes each with a square window, and below each a map of seven by seven weights with a few dark cells."}, "figure": {"caption": "Four fresh pictures with the window at the likeliest place, and below each the weights of all 49 places: the dark ones lie on the objects.", "name": "history-places"}} tags=["hide-input"]
images = unseen[0]
with torch.no_grad():
    _, scores, _ = looker(images)
place = scores.argmax(1)
_, axes = plt.subplots(2, 4, figsize=(plots.COLUMN, 2.7))
for n, (upper, lower) in enumerate(axes.T):
    upper.imshow((images[n].permute(1, 2, 0) + 1) / 2)
    corner = (8 * (place[n] % 7) - 0.5, 8 * (place[n] // 7) - 0.5)
    for colour, width in (("k", 3.5), ("w", 1.8)):
        window = {"fill": False, "ec": colour, "lw": width}
        upper.add_patch(plt.Rectangle(corner, 16, 16, **window))
    lower.imshow(scores[n].softmax(0).view(7, 7), cmap="Greys", vmin=0)
    for axis in (upper, lower):
        axis.set_axis_off()
plt.show()

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# Nothing but the scale of the scores separates a choice from a mean. Multiply them by 0, 1, 10: how much of the weight
# has the heaviest of 49 places? Say three numbers, then change the factor.
# :::

# %%
factor = 1
heaviest = (factor * scores).softmax(1).amax(1).mean().item()
print(f"the heaviest place has {100 * heaviest:.0f} % of the weight")

# %% [markdown]
# ## What holds
#
# Sentences of the three papers, as code judged them. All are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """phrase-based faster-than-recurrent additive-complexity
    additive-once short-sentences glimpses accuracy-long-sentences"""
plots.verdicts(attnlib.paper("dot_product").verdicts(claims.split()))

# %% [markdown]
# ## Where these toys and the papers differ
#
# * {cite:t}`additive`: the decoder also hears what it said before. Of random letters, that says nothing about the next.
# * {cite:t}`glimpses`: several glimpses that a recurrent network ties together, at any place. Here: one of 49 places.
# * {cite:t}`dot_product`: positions counted from the start; many layers and heads. Here: from both ends; one and one.
#
# ## From there to vision
#
# {cite:t}`show_attend_tell` put both kinds of attention over the places of a picture, to describe it in words: the map
# of a convolutional network took the place of the sentence. From 2017 on, attention went *into* the networks that see,
# in two ways:
#
# * **What moves.** Positions take from each other, as words do. 2017: [the transformer's
#   layer](../self_attention/dot_product.ipynb). 2018: [Non-local](../self_attention/non_local.ipynb),
#   [OCNet](../self_attention/ocnet.ipynb). 2019: [SAGAN](../self_attention/sagan.ipynb), and
#   [SASA](../self_attention/sasa.ipynb), which leaves out the convolutions as the transformer did the recurrence.
# * **What scales.** A gate says how much of each channel or place goes on. 2017: [Residual
#   attention](../scale_attention/residual_attention.ipynb). 2018: [SE](../scale_attention/se.ipynb),
#   [GE](../scale_attention/ge.ipynb), [BAM](../scale_attention/bam.ipynb), [CBAM](../scale_attention/cbam.ipynb). 2019:
#   [SGE](../scale_attention/sge.ipynb). 2020: [ECA](../scale_attention/eca.ipynb),
#   [IEBN](../scale_attention/iebn.ipynb). 2021: [Triplet](../scale_attention/triplet.ipynb),
#   [NAM](../scale_attention/nam.ipynb), [SA](../scale_attention/sa.ipynb). 2022: [SEM](../scale_attention/sem.ipynb).
#
# Why these are two families and not one is [the next page](two_families.ipynb).
#
# ## Quiz
#
# ```{quiz} What does additive attention take the place of?
# - [ ] The recurrent network that reads.
#
#   It stays: the states that are averaged are its states.
# - [x] The single vector between the reader and the writer.
#
#   Each step gets a context of its own, a mean of all states.
# - [ ] The softmax.
#
#   The softmax is what makes weights of its scores.
# ```
#
# ```{quiz} In the score, why is there a tanh between the sum and v?
# - [ ] So that the weights of a row add up to one.
#
#   The softmax sees to that.
# - [ ] So that scores may become as large as they like.
#
#   It does the opposite: no score leaves the sum of the absolute values of v.
# - [x] Without it, every letter said would look at the same place.
#
#   The part of the score that depends on the decoder would be the same for all letters read, and a softmax ignores
#   that.
# ```
#
# ```{quiz} A network draws one place and looks there. Why can it not learn the place by backpropagation alone?
# - [x] A draw is not a differentiable function of the weights.
#
#   A little more weight for a place changes how often it is drawn, not what is seen there. REINFORCE uses how often.
# - [ ] Because the reward is a number and not a picture.
#
#   Every loss is a number. What breaks the chain rule stands before it.
# - [ ] Because a softmax has no gradient.
#
#   It has one, and both kinds of attention use it.
# ```
#
# ```{quiz} What does the baseline change?
# - [ ] The gradient that is estimated: it becomes smaller.
#
#   In the mean, nothing changes: the mean of b times the gradient of log p is zero.
# - [x] The noise of the estimate, and not its mean.
#
#   With the mean reward subtracted, a place that is as good as usual neither gains nor loses.
# - [ ] The reward: a network with a baseline aims at something else.
#
#   The reward is subtracted from in the estimate alone; the sum that is made large has no b in it.
# ```
#
# ```{quiz} A word has twice as many letters. What happens to the longest chain of operations of attention alone?
# - [ ] It doubles, since there are twice as many letters.
#
#   There is more to compute, but none of it waits for the other letters' outputs.
# - [ ] It becomes four times as long, since there are four times as many pairs.
#
#   Four times the pairs are four times the work. All pairs can be computed at the same time.
# - [x] It stays as it is.
#
#   No output is needed for another one. The work grows, the waiting does not.
# ```
#
# ## Exercises
#
# ````{exercise} How many steps wait?
# :label: history-exercise-steps
#
# *Easy, 5 minutes.* The reader of {cite:t}`additive` reads a sentence in both directions at the same time; then the
# decoder says its translation word by word. Of a sentence of 30 words and a translation of 30 words: how many recurrent
# steps wait for each other?
#
# :::{dropdown} Hint
# The two directions do not wait for each other.
# :::
# ````

# %%
exercises.answer("history-exercise-steps", ...)  # your number

# %% [markdown]
# ````{solution-start} history-exercise-steps
# :class: dropdown
# ````
#
# Thirty steps of reading, both directions side by side, and thirty of saying. The 900 scores wait for the decoder, a
# row at a time.

# %%
print(30 + 30)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("history-exercise-steps", 60, wrong=[30, 90, 900])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Soft and hard from one softmax
# :label: history-exercise-mixed
#
# *Medium, 15 minutes.* Write a function `between(scores, features, k)` of the scores (N, L) of L places and their
# features (N, L, C): the mean over the `k` places with the highest scores alone, with their weights scaled so that they
# add up to one. With `k = 1` it is hard attention at its likeliest place, with `k = L` soft attention.
#
# :::{dropdown} Hint
# `scores.topk(k, 1)` has values and places. A softmax of some of the scores *is* the weights of these places, scaled.
# :::
# ````

# %%
exercises.answer("history-exercise-mixed", ...)  # your function

# %% [markdown]
# ````{solution-start} history-exercise-mixed
# :class: dropdown
# ````
#
# Only `k` places have to be looked at, and all of them get a gradient; the scores that were left out get none.


# %%
def between(scores, features, k):
    kept, places = scores.topk(k, 1)
    number = torch.arange(len(scores))[:, None]
    return (kept.softmax(1)[:, :, None] * features[number, places]).sum(1)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
def unscaled(scores, features, k):  # the weights do not add up to one
    kept = scores >= scores.topk(k, 1).values[:, -1:]
    return ((scores.softmax(1) * kept)[:, :, None] * features).sum(1)


wrong = [unscaled, lambda s, f, k: between(s, f, s.shape[1])]
exercises.try_judge("history-exercise-mixed", between, wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A baseline without noise
# :label: history-exercise-baseline
#
# *Hard, 15 minutes.* A softmax gives two places one half each. Looking at the first earns $R = 1$, at the second
# $R = 0.6$. For which baseline $b$ is the estimate $(R - b)\, \partial \log p(l) / \partial s_1$ the same whichever
# place is drawn?
#
# :::{dropdown} Hint
# The derivative of $\log p(l)$ by $s_1$ is $1 - p(1)$ if $l$ is the first place, and $-p(1)$ if it is the second.
# :::
# ````

# %%
exercises.answer("history-exercise-baseline", ...)  # your number

# %% [markdown]
# ````{solution-start} history-exercise-baseline
# :class: dropdown
# ````
#
# $(1 - b) \cdot \tfrac12 = -(0.6 - b) \cdot \tfrac12$ gives $b = 0.8$, here the mean reward. Every draw then says 0.1,
# the gradient itself; without a baseline one says 0.5, the other $-0.3$.

# %%
b = (1 + 0.6) / 2
print(f"b = {b}: {(1 - b) / 2:.1f} or {(b - 0.6) / 2:.1f}")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("history-exercise-baseline", b, wrong=[0, 1, 0.6])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Make it learn
# :label: history-exercise-draws
#
# *Research, 60 minutes.* Does hard attention learn where to look if four places are drawn for each picture, each
# compared with the mean reward of the four? Try three seeds. To begin with: how many numbers of each colour does it
# then read of a picture while it learns?
#
# :::{dropdown} Hint
# Repeat each picture four times in the batch, and take the mean of the rewards over them as baseline.
# :::
# ````

# %%
exercises.answer("history-exercise-draws", ...)  # your number

# %% [markdown]
# ````{solution-start} history-exercise-draws
# :class: dropdown
# ````
#
# The coarse view and four windows, even if these overlap. The rest is yours: say steps, seeds and spread.

# %%
numbers = 8**2 + 4 * 16**2
print(numbers)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("history-exercise-draws", numbers, wrong=[1024, 320])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. One vector between reader and writer is a bottleneck; attention gives each step a mean of all states instead.
# 2. A score by a tanh layer is bounded by the size of $v$, a dot product by nothing.
# 3. Soft attention averages, has a gradient, reads everything. Hard attention draws, reads little, needs REINFORCE.
# 4. A baseline changes the noise of the estimate and not its mean.
# 5. Attention alone has no chain, and therefore no order: positions have to be told.
# :::
#
# ## Further reading
#
# * {cite:t}`additive`, {cite:t}`glimpses` and {cite:t}`show_attend_tell`, in the order of this page.
