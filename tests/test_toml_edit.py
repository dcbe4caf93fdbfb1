"""A value in updater.toml is changed where it stands; whatever the file looks like, nothing else ever is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.errors import ConfigError
from updater.schema.site_config import ComponentConfig, SiteConfig
from updater.toml_edit import (
    EDITABLE,
    change_setting,
    feed_url_for,
    with_component,
    with_component_enabled,
    without_component,
)

FILE = """\
# mine
[feed]
url = "https://acme.github.io/shop/stable.json"   # the stable one
app = "shop"

[backup]  # how many
max_backups = 5 # enough
[commands]
runner = ["python", "manage.py"]
"""


def test_comments_and_order_stay():
    assert change_setting(FILE, "max_backups", 9) == FILE.replace("= 5 #", "= 9 #")
    other = "https://acme.github.io/shop/beta.json"
    assert change_setting(FILE, "feed_url", other) == FILE.replace("stable.json", "beta.json")


def test_what_is_missing_is_added():
    assert "[backup]  # how many\nmax_age_days = 30\nmax_backups = 5" in change_setting(FILE, "max_age_days", 30)
    assert change_setting(FILE, "edited", "keep").endswith('\n[policy]\nedited = "keep"\n')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_backups", -1),
        ("max_backups", 10**9),
        ("edited", "sometimes"),
        ("edited", 'keep"\n[alert]\ncommand = ["rm"]\n#'),
        ("feed_url", "stable.json"),
        ("feed_url", "http://example.org/stable.json"),
        ("feed_url", 'https://x/"\n[alert]'),
    ],
)
def test_what_would_be_no_good_settings_is_refused(name, value):
    with pytest.raises(ConfigError):
        change_setting(FILE, name, value)


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace('[feed]\nurl = "', '[feed]\n"url" = "'),
        'feed = {url = "https://acme.github.io/shop/stable.json"}\n',
        'feed.url = "https://acme.github.io/shop/stable.json"\n',
        '[feed]\nurl = """\nhttps://acme.github.io/shop/stable.json"""\n',
    ],
)
def test_what_is_written_otherwise_is_left_to_its_owner(text):
    with pytest.raises(ConfigError):
        change_setting(text, "feed_url", "https://acme.github.io/shop/beta.json")


@given(name=st.sampled_from(sorted(EDITABLE)), value=st.text(max_size=60) | st.integers(-5, 20_000))
def test_any_value_changes_that_one_setting_or_nothing(name, value):
    try:
        changed = change_setting(FILE, name, value)
    except ConfigError:
        return
    before, after = SiteConfig.parse(FILE), SiteConfig.parse(changed)
    assert after.commands == before.commands and after.alert == before.alert
    assert change_setting(changed, name, value) == changed


def test_the_feed_of_another_channel():
    assert feed_url_for("https://acme.github.io/shop/stable.json", "beta") == "https://acme.github.io/shop/beta.json"
    with pytest.raises(ValueError, match="not a channel"):
        feed_url_for("https://acme.github.io/shop/stable.json", "../x")


DARK = ComponentConfig("https://acme.example/dark/stable.json", "themes/dark")


@pytest.mark.parametrize(
    "text",
    [
        '[feed]\nurl = "https://acme.example/stable.json"\n',
        '# mine\n[feed]\nurl = "https://acme.example/stable.json"\n\n# about hooks\n[hooks]\nbefore = ["x"]',
        '[feed]\nurl = "https://acme.example/stable.json"\n'
        '[components."a.b"]\nfeed = "https://a.example/stable.json"\ndirectory = "b"\n',
    ],
)
def test_a_component_comes_changes_and_goes(text: str):
    added = with_component(text, "dark", DARK)
    assert SiteConfig.parse(added).components["dark"] == DARK
    off = with_component_enabled(added, "dark", enabled=False)
    assert SiteConfig.parse(off).components["dark"] == replace(DARK, enabled=False)
    assert SiteConfig.parse(with_component_enabled(off, "dark", enabled=True)).components["dark"] == DARK
    assert without_component(off, "dark").rstrip() == text.rstrip()
    assert without_component(text, "dark") == text


def test_what_stands_around_a_component_stays():
    text = with_component('[feed]\nurl = "https://acme.example/stable.json"\n', "dark", DARK)
    text += "\n# about the backup\n[backup]\nmax_backups = 3\n"
    text = text.replace("directory =", "# mine\ndirectory =")
    off = with_component_enabled(text, "dark", enabled=False)
    assert off == text.replace("[components.dark]\n", "[components.dark]\nenabled = false\n")
    left = without_component(off, "dark")
    assert "[components" not in left
    assert "# about the backup\n[backup]\nmax_backups = 3\n" in left


def test_a_component_that_is_written_in_another_way_is_left_alone():
    text = '[feed]\nurl = "https://acme.example/stable.json"\n[components]\n'
    text += 'dark = {feed = "https://x.example/stable.json", directory = "d"}\n'
    with pytest.raises(ConfigError):
        without_component(text, "dark")
