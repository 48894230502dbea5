"""Networks that say a word backwards: with a recurrence around one vector or attention, and with attention alone.

Toys, of the form of the translation networks of 2014 to 2017. The letters of a word are independent, so that the letter
before says nothing about the next one: other than in translation, no network is told what it has said so far.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.data.reversal import ALPHABET
from attnlib.self_attention.additive import AdditiveAttention
from attnlib.self_attention.dot_product import attention_weights
from attnlib.self_attention.position_codes import sinusoidal


class Recurrent(nn.Module):
    """A GRU reads the word in both directions, another says it, one letter a step.

    Args:
        attention: whether each step gets a context of its own, by additive attention over the reader's states, as in
            Bahdanau, Cho and Bengio; without it, every step gets the reader's last states, as in Cho et al., 2014.
        width: of a letter's vector and of all states.
    """

    def __init__(self, attention: bool, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET), width)
        self.read = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.attend = AdditiveAttention(width, width, width // 2) if attention else None
        self.start = nn.Linear(width, width)
        self.write = nn.GRUCell(width, width)
        self.say = nn.Linear(width, len(ALPHABET))

    def forward(self, words: Int[Tensor, "N length"]) -> Float[Tensor, "N letters length"]:
        """The logits of the letters to say."""
        return self.with_weights(words)[0]

    def with_weights(
        self, words: Int[Tensor, "N length"]
    ) -> tuple[Float[Tensor, "N letters length"], Float[Tensor, "N said read"] | None]:
        """The logits, and what each letter said takes from each letter read, None without attention."""
        states, last = self.read(self.embed(words))  # h_1 to h_n
        context = last.transpose(0, 1).flatten(1)
        state = torch.tanh(self.start(context))  # s_0
        written, looks = [], []
        for _ in range(words.shape[1]):
            if self.attend:
                contexts, weights = self.attend(state[:, None], states)
                context = contexts[:, 0]
                looks.append(weights[:, 0])
            state = self.write(context, state)
            written.append(state)  # s_1 to s_n
        return self.say(torch.stack(written, 1)).mT, torch.stack(looks, 1) if looks else None


class Attending(nn.Module):
    """One layer of scaled dot-product attention in one head; all letters are said at once.

    Args:
        positions: whether a letter's vector tells where it stands: the code of its place counted from the start, by
            sines and cosines as in Vaswani et al., and beside it the code of its place counted from the end, which
            is ours. Words differ in length, and the first letter has to find the last.
        width: of a letter's vector, a multiple of 4.
    """

    def __init__(self, positions: bool, width: int = 64) -> None:
        super().__init__()
        self.positions = positions
        self.embed = nn.Embedding(len(ALPHABET), width)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.say = nn.Linear(width, len(ALPHABET))

    def forward(self, words: Int[Tensor, "N length"]) -> Float[Tensor, "N letters length"]:
        """The logits of the letters to say."""
        return self.with_weights(words)[0]

    def with_weights(
        self, words: Int[Tensor, "N length"]
    ) -> tuple[Float[Tensor, "N letters length"], Float[Tensor, "N said read"]]:
        """The logits, and what each letter said takes from each letter read."""
        x = self.embed(words)
        if self.positions:
            code = sinusoidal(x.shape[1], x.shape[2] // 2, x)
            x = x + torch.cat([code, code.flip(0)], 1)
        weights = attention_weights(self.query(x), self.key(x))
        return self.say(weights @ self.value(x)).mT, weights
