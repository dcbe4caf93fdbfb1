"""The example shop: its repository, its life as an app, and what its three versions are there to show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SHOP = Path(__file__).resolve().parent.parent / "examples" / "shop"
MAKE_REPO = SHOP / "make_repo.py"
TAGS = ["v1.0.0", "v1.1.0", "v1.2.0"]


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", directory, *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def make_repo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, MAKE_REPO, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("repo")
    made = make_repo(directory)
    assert made.returncode == 0, made.stderr
    return directory


@dataclass
class Site:
    """A tree of the shop and, apart from it, the data of one installation."""

    tree: Path
    data: Path

    def python(self, *arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "DATABASE_"))}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.tree,
            env=kept
            | {
                "DJANGO_SETTINGS_MODULE": "shop.settings",
                "PYTHONDONTWRITEBYTECODE": "1",
                "SHOP_DATABASE": str(self.data / "db.sqlite3"),
                "SHOP_MEDIA": str(self.data / "media"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, *arguments: str) -> str:
        return self.python("manage.py", *arguments)

    def script(self, source: str) -> dict:
        """Run a script with Django set up and a test client `c`; its last line is JSON."""
        prelude = (
            "import json, django; django.setup()\n"
            "from django.test import Client\n"
            "c = Client(HTTP_HOST='localhost', raise_request_exception=False)\n"
        )
        return json.loads(self.python("-c", prelude + source).splitlines()[-1])

    def health(self) -> tuple[int, dict]:
        answer = self.script(
            "r = c.get('/health/')\n"
            "print(json.dumps({'code': r.status_code, 'type': r['Content-Type'], 'text': r.content.decode()}))"
        )
        return answer["code"], json.loads(answer["text"]) if answer["type"] == "application/json" else {}

    def version(self, version: str) -> Site:
        return Site(self.tree.parent / version, self.data)


BUY = """
from catalog.models import Product
from orders.models import Order
address = dict(name="Ada Byron", email="ada@example.org", street="Dock 1", postcode="1010", city="Wien",
               country="Austria")
mug = Product.objects.get(slug="stoneware-mug")
page = c.get("/").content.decode() + c.get(mug.get_absolute_url()).content.decode()
page += c.get(mug.image.url).getvalue().decode()
found = c.get("/?q=enamel+steel").content.decode()
c.post(f"/cart/add/{mug.pk}/", {"quantity": 2})
invalid = c.post("/checkout/", address | {"email": "nonsense"})
changed = c.post("/checkout/", address | {"total": "1"})
placed = c.post("/checkout/", address)
left = Product.objects.get(pk=mug.pk).stock
c.post(f"/cart/add/{mug.pk}/", {"quantity": 2})
Product.objects.filter(pk=mug.pk).update(stock=1)
refused = c.post("/checkout/", address)
Product.objects.filter(pk=mug.pk).update(stock=left)
print(json.dumps({
    "page": page, "found": found, "invalid": invalid.content.decode(), "changed": changed.url, "placed": placed.url,
    "refused": refused.url, "confirmation": c.get(placed.url).content.decode(), "left": left,
    "orders": Order.objects.count(),
}))
"""


@pytest.fixture(scope="module")
def sold(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, dict]:
    """Version 1.0.0, seeded, with one order; and what the visitor saw."""
    trees = tmp_path_factory.mktemp("trees")
    for tag in TAGS:
        work = f"--work-tree={trees / tag[1:]}"
        (trees / tag[1:]).mkdir()
        subprocess.run(["git", f"--git-dir={repo / '.git'}", work, "checkout", "-q", "-f", tag, "--", "."], check=True)
    site = Site(trees / "1.0.0", tmp_path_factory.mktemp("data"))
    assert site.health() == (
        503,
        {"status": "error", "version": "dev", "database": "ok", "migrations": "pending"},
    )
    site.manage("migrate", "-v0")
    site.manage("seed_demo")
    return site, site.script(BUY)


@pytest.fixture
def site(sold: tuple[Site, dict], tmp_path: Path) -> Site:
    return Site(sold[0].tree, shutil.copytree(sold[0].data, tmp_path / "data"))


def test_each_version_is_a_commit_and_an_annotated_tag(repo: Path) -> None:
    assert git(repo, "tag").split() == TAGS
    assert {git(repo, "cat-file", "-t", tag) for tag in TAGS} == {"tag"}
    assert git(repo, "rev-list", "--count", "main") == "3"
    assert git(repo, "status", "--porcelain") == ""
    changes = git(repo, "diff", "--name-status", "--no-renames", "v1.0.0", "v1.1.0").splitlines()
    assert {line[0] for line in changes} == {"A", "M", "D"}
    assert sum(line.startswith("D") for line in changes) >= 2
    assert git(repo, "ls-tree", "v1.0.0", "manage.py").startswith("100755")


def test_the_same_ids_whatever_the_users_git_says(repo: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (home / "hooks" / "pre-commit").chmod(0o755)
    (home / ".gitconfig").write_text(
        "[user]\nname = Me\nemail = me@example.org\n[commit]\ngpgsign = true\n[tag]\ngpgsign = true\n"
        f"[core]\nautocrlf = true\nhooksPath = {home / 'hooks'}\n[init]\ndefaultBranch = trunk\n"
    )
    (home / "git").mkdir()
    (home / "git" / "ignore").write_text("*.css\n")
    (home / "git" / "attributes").write_text("* text eol=crlf\n")
    made = make_repo(
        tmp_path / "again", HOME=str(home), XDG_CONFIG_HOME=str(home), GIT_DIR="/nowhere", GIT_AUTHOR_NAME="Me"
    )
    assert made.returncode == 0, made.stderr
    assert git(tmp_path / "again", "show-ref", "--tags") == git(repo, "show-ref", "--tags")


def test_upto_stops_early(tmp_path: Path) -> None:
    assert make_repo(tmp_path, "--upto", "1.0.0").returncode == 0
    assert git(tmp_path, "tag") == "v1.0.0"


def test_errors_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    refused = make_repo(tmp_path)
    assert (refused.returncode, refused.stderr) == (1, f"error: {tmp_path} is not empty\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    refused = make_repo(tmp_path / "mine.txt")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    refused = make_repo(tmp_path / "new", PATH=str(tmp_path))
    assert (refused.returncode, refused.stderr) == (1, "error: git is not installed, or not on the PATH\n")


def test_a_visitor_can_look_search_and_order(sold: tuple[Site, dict]) -> None:
    site, seen = sold
    assert "€\u00a018.50" in seen["page"]
    assert "</svg>" in seen["page"]
    assert "Enamel teapot" in seen["found"]
    assert "Wool blanket" not in seen["found"]
    assert "Enter a valid email address" in seen["invalid"]
    assert seen["changed"] == seen["refused"] == "/cart/"
    assert "€\u00a037.00" in seen["confirmation"]
    assert (seen["left"], seen["orders"]) == (22, 1)
    assert "the rest was there" in site.manage("seed_demo")
    assert (site.data / "secret_key.txt").stat().st_mode & 0o777 == 0o600


def test_health_names_the_version_and_an_unreachable_database(site: Site, tmp_path: Path) -> None:
    tree = shutil.copytree(site.tree, tmp_path / "tree")
    (tree / "version.json").write_text('{"app": "shop", "version": "1.0.0"}')
    released = Site(tree, site.data)
    assert released.health() == (
        200,
        {"status": "ok", "version": "1.0.0", "database": "ok", "migrations": "ok"},
    )
    for path in site.data.glob("db.sqlite3*"):
        path.unlink()
    (site.data / "db.sqlite3").write_bytes(b"this is not a database " * 100)
    code, report = released.health()
    assert (code, report["database"], report["status"]) == (503, "unreachable", "error")


DATA = """
from django.apps import apps
print(json.dumps({
    model.__name__: list(model.objects.order_by("pk").values())
    for model in (apps.get_model("catalog.Product"), apps.get_model("orders.Order"), apps.get_model("orders.OrderItem"))
}, default=str))
"""


@pytest.mark.slow
def test_1_1_0_keeps_and_converts_the_data_and_can_go_back(site: Site) -> None:
    before = site.script(DATA)
    new = site.version("1.1.0")
    assert new.health()[0] == 503
    new.manage("migrate", "-v0")
    assert "No changes" in new.manage("makemigrations", "--check", "--dry-run")
    assert new.health()[0] == 200
    after = new.script(DATA)
    for old_row, new_row in zip(before["Product"], after["Product"], strict=True):
        assert new_row["gross_cents"] == round(float(old_row["price"]) * 100)
        assert new_row["stock"] == old_row["stock"]
    (order,) = after["Order"]
    assert order["reference"] == f"{order['created'][:4]}-{order['id']:05d}"
    assert order["token"] == before["Order"][0]["token"]
    assert [item["unit_cents"] for item in after["OrderItem"]] == [1850]

    new.manage("seed_demo")
    bought = new.script(
        "from catalog.models import Product\nfrom coupons.models import Coupon\nfrom orders.models import Order\n"
        "mug = Product.objects.get(slug='stoneware-mug')\n"
        "c.post(f'/cart/add/{mug.pk}/', {'quantity': 2})\n"
        "wrong = c.post('/cart/coupon/', {'code': 'nope'}, follow=True).content.decode()\n"
        "c.post('/cart/coupon/', {'code': ' hello10 '})\n"
        "cart = c.get('/cart/').content.decode()\n"
        "url = c.post('/checkout/', dict(name='Ada', email='a@example.org', street='Dock 1', postcode='1', city='W',"
        " country='A')).url\n"
        "print(json.dumps({'wrong': wrong, 'cart': cart, 'page': c.get(url).content.decode(),"
        " 'total': Order.objects.first().total, 'used': Coupon.objects.get().used}))"
    )
    assert "not valid" in bought["wrong"]
    assert "€\u00a033.30" in bought["cart"]
    assert "HELLO10" in bought["page"]
    assert (bought["total"], bought["used"]) == (3330, 1)

    new.manage("migrate", "-v0", "catalog", "0001")
    new.manage("migrate", "-v0", "orders", "0001")
    new.manage("migrate", "-v0", "coupons", "zero")
    assert site.health()[0] == 200
    back = site.script(DATA)
    assert [row["price"] for row in back["Product"]] == [row["price"] for row in before["Product"]]
    assert back["Order"][0] == before["Order"][0]
    assert back["OrderItem"][0] == before["OrderItem"][0]


def test_1_2_0_migrates_and_then_fails(site: Site) -> None:
    old, new = site.version("1.1.0"), site.version("1.2.0")
    old.manage("migrate", "-v0")
    new.manage("migrate", "-v0")
    assert "No changes" in new.manage("makemigrations", "--check", "--dry-run")
    assert new.health() == (500, {})
    code, report = old.health()  # the old code alone is no way back
    assert (code, report["migrations"]) == (503, "ahead")
