"""What the small network sees, what its controls are told, and the measure it is judged by."""

import pytest
import torch

from attnlib.networks.scene_segmenter import HEADS, SceneSegmenter, at_the_map, mean_iou, shares


def network(head):
    torch.manual_seed(0)
    made = SceneSegmenter(head, 5).eval()
    for parameter in made.head.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def drawn():
    return torch.randint(256, (1, 4, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("head", [head for head in HEADS if head != "told"])
def test_only_who_is_told_reads_the_groups(head):
    made, inputs = network(head), drawn()
    other = inputs.clone()
    other[:, 3] = 0
    assert made(inputs).shape == (1, 5, 16, 16)
    torch.testing.assert_close(made(inputs), made(other), rtol=0, atol=0)


def test_told_takes_the_mean_of_its_group():
    made, inputs = network("told"), drawn()
    inputs[:, 3] %= 3
    x, groups = made.map_of(inputs), at_the_map(inputs[:, 3])[0]
    v = made.head.value(x)[0]
    context = torch.empty_like(v)
    for group in range(3):
        context[:, groups == group] = v[:, groups == group].mean(1, keepdim=True)
    expected = made.classifier(made.head.fuse(torch.cat([made.head.out(context[None]), x], 1)))
    torch.testing.assert_close(made(inputs), expected)


@pytest.mark.parametrize(("head", "farther"), [("none", False), ("asp without context", True), ("mean", True)])
def test_without_a_head_a_position_sees_15_pixels(head, farther):
    made, inputs = network(head), drawn()
    far = inputs.clone()
    far[:, :3, :24] = 255 - far[:, :3, :24]  # position 8 sees the pixels 25 to 39
    same = torch.equal(made(inputs)[..., 8, 8], made(far)[..., 8, 8])
    assert same != farther


def test_asp_without_context_never_leaves_zero():
    made = SceneSegmenter("asp without context", 5)
    made(drawn()).sum().backward()
    assert all(p.grad is None for p in made.head.context.parameters())
    assert not made.head.context.out.weight.any()


def test_mean_iou_by_hand():
    labels, predicted = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 1, 2])
    assert mean_iou(predicted, labels, 3) == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    with pytest.raises(ValueError, match="class 3 is neither"):
        mean_iou(predicted, labels, 4)


def test_shares_by_hand():
    objects = torch.tensor([[[1, 1, 2, 0]]])
    weights = torch.tensor([[[0.5, 0.1, 0.3, 0.1], [0.2, 0.2, 0.2, 0.4], [0.1, 0.2, 0.6, 0.1], [1.0, 0.0, 0.0, 0.0]]])
    found = shares(weights, objects)
    assert found["share"] == pytest.approx({"own": (0.6 + 0.4 + 0.6) / 3, "other": 0.8 / 3, "ground": 0.6 / 3})
    assert found["area"] == pytest.approx({"own": (0.5 + 0.5 + 0.25) / 3, "other": 1 / 3, "ground": 0.25})
