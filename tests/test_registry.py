"""Modules by name: the table is complete, near misses are named, groups fit every width."""

import inspect
import re
from importlib import import_module

import pytest
import torch

import attnlib
from attnlib import create, info, list_modules
from attnlib.base import ScaleAttention, SelfAttention
from attnlib.catalogue import sa_groups
from attnlib.errors import UnknownNameError, unknown

PAPERS, CONTROLS = list_modules(), list_modules("control")
every_key = pytest.mark.parametrize("key", PAPERS + CONTROLS)


def test_controls_are_listed_only_when_asked_for():
    assert {"se", "nam", "sa"} <= set(PAPERS)
    assert CONTROLS == ["constant"]
    assert not set(PAPERS) & set(CONTROLS)
    assert sorted(PAPERS) == sorted(list_modules("scale") + list_modules("self"))


@every_key
def test_every_entry_is_complete(key):
    entry = info(key)
    assert entry.key == key
    assert entry.family in ("scale", "self", "control")
    assert all(text.strip() for text in (entry.name, entry.placement, entry.status))
    assert ("arXiv" in entry.paper) == (entry.family != "control")


@every_key
def test_every_entry_leads_to_its_class(key):
    module_name, class_name = info(key).target.split(":")
    cls = getattr(import_module(module_name), class_name)
    assert key.endswith("_oc") or module_name.rsplit(".", 1)[1] == key
    assert issubclass(cls, SelfAttention if info(key).family == "self" else ScaleAttention)
    assert next(iter(inspect.signature(cls).parameters)) == "channels"
    assert inspect.getdoc(cls) != inspect.getdoc(cls.__mro__[1])


@every_key
@pytest.mark.parametrize("channels", [64, 256])
def test_every_module_builds_with_its_own_arguments_and_keeps_the_shape(key, channels):
    module = create(key, channels, **info(key).arguments_for(channels, size=(7, 9)))
    x = torch.randn(2, channels, 7, 9)
    assert module.channels == channels
    # A stem stands for a network's first pooling too.
    assert module(x).shape == ((2, 64, 2, 3) if key == "sasa_stem" else x.shape)


# Arguments that depend on the width or the size.


def test_chosen_arguments_go_before_the_table_s():
    assert info("sa").arguments_for(64) == {"groups": 16}
    assert info("sa").arguments_for(64, groups=4, shuffle=False) == {"groups": 4, "shuffle": False}


def test_a_size_is_given_only_to_what_needs_it():
    assert info("nam").arguments_for(64, size=(8, 4)) == {}
    assert info("nam").arguments_for(64, size=(8, 4), spatial=True) == {"spatial": True, "size": (8, 4)}


def test_groups_of_shuffle_attention_fit_every_even_width():
    for channels in range(2, 2049, 2):
        groups, legal = sa_groups(channels), [g for g in range(1, 65) if channels % (2 * g) == 0]
        assert groups in legal, channels
        # Two channels or more in each half wherever that can be had, and no more groups than that allows left out.
        wide = [g for g in legal if channels // (2 * g) >= 2]
        assert groups == max(wide, default=1), channels


@pytest.mark.parametrize(("channels", "groups"), [(16, 4), (64, 16), (128, 32), (256, 64), (512, 64), (2048, 64)])
def test_groups_of_shuffle_attention_are_the_paper_s_from_256_channels(channels, groups):
    assert sa_groups(channels) == groups


@pytest.mark.parametrize("channels", [1, 65])
def test_an_odd_width_has_no_groups(channels):
    with pytest.raises(ValueError, match=f"channels={channels} is odd: .*; use an even width"):
        sa_groups(channels)


# Names that are not there.


@pytest.mark.parametrize(
    ("wrong", "near"), [("SE", "se"), ("nams", "nam"), ("shufle", "sa"), ("squeeze", "se"), ("normalisation", "nam")]
)
@pytest.mark.parametrize("look_up", [info, lambda name: create(name, 64)], ids=["info", "create"])
def test_an_unknown_module_lists_the_near_matches(look_up, wrong, near):
    with pytest.raises(UnknownNameError, match=f"no module is called '{wrong}'; did you mean .*'{near}'"):
        look_up(wrong)


def test_without_a_near_match_all_names_are_listed():
    with pytest.raises(UnknownNameError, match="no module is called 'xyzzy'; known: .*") as caught:
        info("xyzzy")
    assert all(key in str(caught.value) for key in PAPERS + CONTROLS)


def test_an_unknown_family_lists_the_near_matches(own_errors):
    with pytest.raises(UnknownNameError, match="no family is called 'scal'; did you mean 'scale'"):
        list_modules("scal")


def test_near_matches_are_few_and_the_nearest_first():
    message = str(unknown("thing", "name1", ["name1234", "name12", "name2", "name3", "other"]))
    assert message.startswith("no thing is called 'name1'; did you mean 'name12' or 'name2'")
    assert message.count("'") == 2 + 2 * 3


def test_an_argument_that_a_module_has_not_is_refused(own_errors):
    with pytest.raises(TypeError, match="^sa: no argument is called 'grups'; did you mean 'groups'"):
        create("sa", 64, grups=4)
    with pytest.raises(TypeError, match="^constant: no argument is called 'reduction'; known: value$"):
        create("constant", 64, reduction=4)


@pytest.mark.parametrize("name", [None, 3, ["se"]])
def test_a_key_that_is_no_string_is_refused(name, own_errors):
    with pytest.raises(TypeError, match=f"a string such as 'se', got {re.escape(repr(name))}; list_modules"):
        info(name)


def test_the_package_offers_what_it_lists():
    assert all(hasattr(attnlib, name) for name in attnlib.__all__)
