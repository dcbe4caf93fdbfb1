"""What stands above updater.toml: variables of the environment, and the organisation's files, which win."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import CONFIG
from updater.errors import ConfigError
from updater.site import Site
from updater.site import site as site_module


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    monkeypatch.setattr(site_module, "ORGANISATION", tmp_path / "etc.toml")
    (tmp_path / "updater.toml").write_text(CONFIG + "[backup]\nmax_backups = 7\n")
    return Site(tmp_path, {})


def test_without_any_the_file_decides(site):
    assert site.config().backup.max_backups == 7
    assert site.config().overridden == {}


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("UPDATER_BACKUP_MAX_BACKUPS", "3", "backup", "max_backups", 3),
        ("UPDATER_POLICY_AUTO_INSTALL", "all", "policy", "auto_install", "all"),
        ("UPDATER_POLICY_PIN", "1.4", None, None, None),
        ("UPDATER_POLICY_SKIP", '["1.4.0"]', "policy", "skip", ("1.4.0",)),
        ("UPDATER_POLICY_SOAK", "1.5", "policy", "soak", 1.5),
        ("UPDATER_DATABASE_TIMEOUT", "60", "database", "timeout", 60.0),
        ("UPDATER_COMMANDS_ENV", '{A = "b"}', "commands", "env", {"A": "b"}),
        ("UPDATER_MAINTENANCE_MESSAGE", "true", "maintenance", "message", "true"),
        ("UPDATER_HOOKS_BEFORE", '["./ask", "x"]', "hooks", "before", ("./ask", "x")),
    ],
)
def test_a_variable_reads_as_its_key_needs(site, name, text, section, key, value):
    site = Site(site.path, {name: text})
    if section is None:
        with pytest.raises(ConfigError, match=f"the variable {name}: policy.pin"):
            site.config()
        return
    config = site.config()
    assert getattr(getattr(config, section), key) == value
    assert config.overridden == {f"{section}.{key}": f"the variable {name}"}


def test_a_variable_that_is_wrong_is_named(site):
    wrong = {"UPDATER_BACKUP_MAX_BACKUPS": "many", "UPDATER_POLICY_AUTO_INSTAL": "all", "UPDATER_SITE": "/x"}
    with pytest.raises(ConfigError) as caught:
        Site(site.path, wrong).config()
    assert "the variable UPDATER_BACKUP_MAX_BACKUPS: backup.max_backups: must be a whole number" in str(caught.value)
    assert "UPDATER_POLICY_AUTO_INSTAL: policy.auto_instal: unknown key; did you mean 'auto_install'?" in str(
        caught.value
    )


def test_the_organisation_wins(site):
    other = site.path / "team.toml"
    other.write_text('[policy]\nauto_install = "critical"\n[backup]\nmax_backups = 9\n')
    site_module.ORGANISATION.write_text('[policy]\nauto_install = "none"\n')
    environ = {"UPDATER_POLICY_AUTO_INSTALL": "all", "UPDATER_ORGANISATION_FILE": str(other)}
    config = Site(site.path, environ).config()
    assert config.policy.auto_install == "none"
    assert config.backup.max_backups == 9
    assert config.overridden["policy.auto_install"] == str(site_module.ORGANISATION)


@pytest.mark.parametrize(
    "content", [None, b"\xff", b"= 1", b"[policy]\nauto_instal = 1", b'auto_install = "none"', b"[polcy]\nsoak = 1"]
)
def test_an_organisation_that_cannot_be_read_lets_nothing_through(site, content):
    path = Path(site_module.ORGANISATION)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        site.config()
