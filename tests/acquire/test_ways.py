"""A whole update by each way: what is asked for, and that the next way is taken when one fails."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acquire.shop import BASE, Shop, noise, text
from tests.support.packages import Symlink, make_package
from updater import set_up_site
from updater.schema.feed import Delta

NEXT = {
    **BASE,
    "shop/part1.py": text(1).replace(b"a", b"A", 40),
    "shop/part2.py": b"# new\n" + text(2),
    "shop/added.py": text(50, 6000),
    "shop/also_empty.py": b"",
    "docs/latest": Symlink("v2"),
    "docs/more": Symlink("v2/more"),
}
del NEXT["shop/part11.py"]
CHANGED = ("shop/part1.py", "shop/part2.py", "shop/added.py")


@pytest.fixture(params=["in-place", "slots"])
def shop(tmp_path: Path, request: Any) -> Shop:
    return Shop(tmp_path, request.param).set_up()


@pytest.fixture
def plain(tmp_path: Path) -> Shop:
    return Shop(tmp_path).set_up()


def packed(shop: Shop, version: str = "1.1.0") -> int:
    """Bytes of the changed files in the package, and a little for headers."""
    return sum(len(zlib.compress(bytes(NEXT[path]), 9)) for path in CHANGED) + 1000


def test_by_index(shop: Shop) -> None:
    shop.publish("1.1.0", NEXT)
    assert shop.update() == "index"
    asked = shop.asked()
    assert asked.keys() == {"index", "zip"}
    assert asked["zip"] <= packed(shop)
    assert asked["index"] < 9000
    shop.check("1.1.0")


def test_by_the_directory_of_the_zip(shop: Shop) -> None:
    shop.publish("1.1.0", NEXT, index=False)
    assert shop.update() == "directory"
    built = shop.built["1.1.0"]
    assert shop.asked()["zip"] < 60_000 + built.tail_size + 1000
    shop.check("1.1.0")


def test_by_delta(shop: Shop) -> None:
    release = shop.publish("1.1.0", NEXT, deltas=["1.0.0"])
    assert shop.update() == "delta"
    assert shop.asked() == {"delta": release.deltas[0].size}
    shop.check("1.1.0")


def test_by_a_chain_of_deltas(shop: Shop) -> None:
    shop.publish("1.1.0", NEXT, deltas=["1.0.0"])
    newest = {**NEXT, "shop/part2.py": b"# newer\n" + text(2), "shop/third.py": b"3" * 3000}
    del newest["shop/added.py"]
    shop.publish("1.2.0", newest, deltas=["1.1.0"])
    assert shop.update() == "deltas"
    assert shop.asked().keys() == {"delta"}
    shop.check("1.2.0")


def test_a_direct_delta_beside_a_chain(plain: Shop) -> None:
    plain.publish("1.1.0", NEXT, deltas=["1.0.0"])
    plain.publish("1.2.0", {**NEXT, "x.py": b"x"}, deltas=["1.1.0", "1.0.0"])
    plan = plain.updater().plan()
    assert [option.name for option in plan.sources][:2] == ["delta from 1.0.0", "deltas 1.0.0 → 1.1.0 → 1.2.0"]
    assert all(option.why for option in plan.sources)


def test_the_whole_package_when_nearly_all_of_it_changed(shop: Shop) -> None:
    shop.publish("1.1.0", {path: noise(n, 30_000) for n, path in enumerate(BASE)})
    assert shop.update() == "package"
    assert shop.asked()["zip"] == shop.built["1.1.0"].size
    shop.check("1.1.0")


def test_nothing_at_all_after_a_rollback(plain: Shop) -> None:
    """The restore point of the way back holds the new files."""
    plain.publish("1.1.0", NEXT)
    plain.update()
    plain.updater().rollback()
    plain.asked()
    assert plain.update() == "local"
    assert plain.asked() == {}
    plain.check("1.1.0")


def test_an_earlier_slot_is_not_fetched_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "slots").set_up()
    shop.publish("1.1.0", NEXT)
    shop.update()
    shop.updater().rollback()
    shop.asked()
    assert shop.update() == "local"
    assert shop.asked() == {}
    shop.check("1.1.0")


# what is on the site already


def test_renamed_and_copied_content_is_not_fetched(shop: Shop) -> None:
    tree = dict(BASE)
    tree["static/renamed.png"] = tree.pop("static/picture0.png")
    tree["static/copy1.png"] = tree["static/copy2.png"] = tree["static/picture1.png"]
    shop.publish("1.1.0", tree)
    assert shop.update() == "index"
    assert shop.asked().get("zip", 0) < 500
    shop.check("1.1.0")


def test_what_the_owner_put_beside_listed_files_is_used(plain: Shop) -> None:
    plain.publish("1.1.0", {**BASE, "static/new.png": noise(7)})
    (plain.path / "static/mine.png").write_bytes(noise(7))
    plain.update()
    assert plain.asked()["zip"] < 500
    plain.check("1.1.0")
    assert (plain.path / "static/mine.png").read_bytes() == noise(7)


def test_an_edited_or_missing_file_costs_its_own_replacement_alone(shop: Shop) -> None:
    """They did not change between the releases: the index lists them in an old block, the delta not at all."""
    (shop.tree / "static/picture3.png").write_bytes(b"edited")
    (shop.tree / "shop/part7.py").unlink()
    shop.publish("1.1.0", NEXT, deltas=["1.0.0"])
    assert shop.update() == "delta"
    asked = shop.asked()
    assert 20_000 < asked["zip"] < 20_000 + len(text(7)) + 1000
    shop.check("1.1.0")


def test_an_edited_reference_costs_its_group_alone(shop: Shop) -> None:
    (shop.tree / "shop/part1.py").write_bytes(b"edited")
    shop.publish("1.1.0", NEXT, deltas=["1.0.0"])
    shop.update()
    shop.check("1.1.0")


def test_an_edited_file_that_stays_is_fetched_all_the_same_to_prove_the_release(plain: Shop) -> None:
    config = plain.path / "updater.toml"
    config.write_text(config.read_text() + '\n[policy]\nedited = "keep"\n')
    (plain.path / "shop/part1.py").write_bytes(b"edited")
    plain.publish("1.1.0", NEXT)
    plain.update()
    plain.check("1.1.0", edited={"shop/part1.py": b"edited"})
    assert (plain.path / "shop/part1.py").read_bytes() == b"edited"


# ways that fail


def names(shop: Shop) -> dict[str, str]:
    return {name.rpartition(".")[2]: name for name in shop.publisher.files if "1.1.0" in name}


def failing(shop: Shop) -> dict[str, str]:
    shop.publish("1.1.0", NEXT, deltas=["1.0.0"])
    return names(shop)


@pytest.mark.parametrize("how", ["missing", "other bytes", "garbage"])
def test_a_delta_that_cannot_be_used(plain: Shop, how: str) -> None:
    files = failing(plain)
    good = plain.publisher.files[files["delta"]]
    if how == "missing":
        plain.publisher.repository.faults[files["delta"]] = 404
    elif how == "other bytes":
        plain.publisher.files[files["delta"]] = good[:-1] + bytes([good[-1] ^ 1])
    else:
        bad = b"TGD\x01" + noise(1, 500)
        plain.publisher.files[files["delta"]] = bad
        plain.publisher.change(
            "1.1.0", deltas=(Delta("1.0.0", (files["delta"],), len(bad), hashlib.sha256(bad).hexdigest()),)
        )
    assert plain.update() == "index"
    plain.check("1.1.0")
    assert any("delta from 1.0.0 cannot be used" in message for message in plain.warnings())


@pytest.mark.parametrize("how", [404, "wrong head", "wrong block", "short"])
def test_an_index_that_cannot_be_used(plain: Shop, how: object) -> None:
    plain.publish("1.1.0", NEXT)
    name = names(plain)["index"]
    data = plain.publisher.files[name]
    head = plain.built["1.1.0"].index.head_size  # type: ignore[union-attr]
    if how == 404:
        plain.publisher.repository.faults[name] = 404
    elif how == "wrong head":
        plain.publisher.files[name] = data.replace(b"1.1.0", b"1.1.1", 1)
    elif how == "wrong block":
        plain.publisher.files[name] = data[: head + 10] + bytes([data[head + 10] ^ 1]) + data[head + 11 :]
    else:
        plain.publisher.files[name] = data[:-1]
    assert plain.update() == "directory"
    plain.check("1.1.0")


def test_a_release_that_is_no_ancestor_is_left_by_the_whole_index(plain: Shop) -> None:
    """1.0.1 was a fix on a branch: what it changed is in no block. The first blocks do not lead from it to 1.1.0."""
    plain.publish("1.0.1", {**BASE, "shop/part5.py": b"fixed\n", "shop/fix.py": b"fix\n"})
    plain.update()
    del plain.built["1.0.1"]
    plain.publish("1.1.0", NEXT)
    assert plain.update() == "index"
    plain.check("1.1.0")


def test_a_server_without_ranges_sends_the_package_once(shop: Shop) -> None:
    shop.publish("1.1.0", NEXT)
    shop.publisher.repository.ranges = False
    shop.update()
    shop.check("1.1.0")


def test_the_package_lies_elsewhere_and_the_index_lies(plain: Shop) -> None:
    """An index of another package, signed by mistake: the files that it leads to are not those of the release."""
    other = {**NEXT, "shop/added.py": text(51, 6000)}
    wrong = make_package(other, version="1.1.0", before=[plain.built["1.0.0"]])
    release = plain.publish("1.1.0", NEXT)
    assert wrong.index is not None
    plain.publisher.files["packages/shop-1.1.0.index"] = wrong.index.data
    plain.publisher.change("1.1.0", package=replace(release.package, index=wrong.to_release().package.index))
    assert plain.update() == "index"
    plain.check("1.1.0")


def test_a_first_install_fetches_the_package_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.publish("0.9.0", {**BASE, "shop/part1.py": b"old"})
    shop.publish("1.0.0", BASE)
    set_up_site(shop.publisher.url, shop.path, root=shop.publisher.root, transport=shop.publisher)
    assert shop.asked() == {"zip": shop.built["1.0.0"].size}
    shop.check("1.0.0")
