"""The wares of the demo shop, with drawings instead of photographs."""

from dataclasses import dataclass

CATEGORIES = ["Kitchen", "Living", "Garden"]


@dataclass(frozen=True)
class Ware:
    category: str
    name: str
    price: str
    stock: int
    description: str
    paper: str
    drawing: str

    @property
    def image(self):
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 360">'
            f'<rect width="480" height="360" fill="{self.paper}"/>'
            '<ellipse cx="240" cy="290" rx="150" ry="16" opacity=".12"/>'
            f"{self.drawing}</svg>\n"
        )


WARES = [
    Ware(
        "Kitchen",
        "Stoneware mug",
        "18.50",
        24,
        "Thrown by hand and glazed twice. Holds 350 ml, keeps its warmth, and fits the dishwasher.",
        "#dfe7e3",
        '<path d="M320 150h36a44 44 0 0 1 0 88h-36" fill="none" stroke="#3e6a7d" stroke-width="20"/>'
        '<path d="M150 110h180v130q0 50-50 50h-80q-50 0-50-50z" fill="#4f7f94"/>'
        '<path d="M150 110h180v50q-45 24-90 0t-90 0z" fill="#f4efe3"/>',
    ),
    Ware(
        "Kitchen",
        "Oak serving board",
        "42.00",
        9,
        "One piece of European oak. Each has its own grain.\n\nOil it twice a year and it outlives us.",
        "#efe6d8",
        '<rect x="110" y="120" width="220" height="160" rx="28" fill="#b8834f"/>'
        '<rect x="320" y="180" width="90" height="40" rx="20" fill="#b8834f"/>'
        '<circle cx="388" cy="200" r="9" fill="#efe6d8"/>'
        '<path d="M130 160q90-24 180 0M130 200q90 24 180 0M130 240q90-20 180 0" fill="none" stroke="#94642f"'
        ' stroke-width="5"/>',
    ),
    Ware(
        "Kitchen",
        "Enamel teapot",
        "39.90",
        12,
        "Steel with two coats of enamel, for every kind of stove. 1.2 litres.",
        "#f3e3dc",
        '<path d="M325 190q70-10 85-70" fill="none" stroke="#b5473c" stroke-width="22"'
        ' stroke-linecap="round"/>'
        '<path d="M155 165q-75 10-60 65t75 30" fill="none" stroke="#2d2f31" stroke-width="16"/>'
        '<ellipse cx="240" cy="215" rx="105" ry="76" fill="#c95b4c"/>'
        '<path d="M180 150q60-50 120 0z" fill="#b5473c"/><circle cx="240" cy="117" r="13" fill="#2d2f31"/>',
    ),
    Ware(
        "Kitchen",
        "Linen tea towel",
        "14.00",
        40,
        "Heavy linen that gets softer with every wash. 50 × 70 cm, with a loop.",
        "#e4e8f0",
        '<path d="M150 90h180v190q-90 20-180 0z" fill="#fbfaf6"/>'
        '<path d="M150 120h180M150 136h180M150 244h180" stroke="#3c5a92" stroke-width="7"/>'
        '<path d="M240 90V62" stroke="#3c5a92" stroke-width="6"/>'
        '<circle cx="240" cy="56" r="8" fill="#7c6a4d"/>',
    ),
    Ware(
        "Living",
        "Wool blanket",
        "119.00",
        6,
        "New wool from a small mill, 140 × 200 cm. Warm in winter, light in summer, and never itchy.",
        "#eae3ec",
        '<rect x="110" y="120" width="260" height="165" rx="22" fill="#7a5c86"/>'
        '<path d="M110 170h260M110 186h260M110 236h260" stroke="#e6c9a8" stroke-width="9"/>'
        '<path d="M130 285v22m24-22v22m24-22v22m24-22v22m24-22v22m24-22v22m24-22v22m24-22v22m24-22v22m24-22'
        'v22" stroke="#7a5c86" stroke-width="5"/>',
    ),
    Ware(
        "Living",
        "Beeswax candle",
        "11.90",
        3,
        "Poured by a beekeeper. Burns for about 30 hours and smells of summer.",
        "#f6ecd2",
        '<path d="M240 62q26 38 0 60-26-22 0-60z" fill="#f08c2e"/>'
        '<path d="M240 140v-22" stroke="#4a3a24" stroke-width="5"/>'
        '<rect x="190" y="138" width="100" height="152" rx="14" fill="#e5b04a"/>'
        '<path d="M190 165h100M190 195h100M190 225h100M190 255h100" stroke="#cf9733" stroke-width="4"/>',
    ),
    Ware(
        "Living",
        "Dot grid notebook",
        "9.50",
        60,
        "160 numbered pages that lie flat, thread-sewn, with two ribbons.",
        "#dde8e6",
        '<rect x="150" y="80" width="190" height="212" rx="10" fill="#23605c"/>'
        '<rect x="150" y="80" width="30" height="212" rx="10" fill="#1a4a47"/>'
        '<rect x="215" y="120" width="90" height="44" rx="5" fill="#f3ead8"/>'
        '<path d="M310 292v28l10-9 10 9v-28" fill="#d96c4a"/>',
    ),
    Ware(
        "Garden",
        "Brass watering can",
        "64.00",
        5,
        "A long spout reaches the last pot. 1.5 litres, with a rose that comes off.",
        "#e6ecd9",
        '<path d="M300 240 400 130l18 14" fill="none" stroke="#b58a2c" stroke-width="18"/>'
        '<path d="M175 160q-90 10-70 70t75 40" fill="none" stroke="#a07a24" stroke-width="14"/>'
        '<path d="M165 150h140l14 140H151z" fill="#cfa23e"/>'
        '<path d="M165 150h140l3 26H162z" fill="#b58a2c"/>',
    ),
    Ware(
        "Garden",
        "Herb planter",
        "27.50",
        0,
        "Terracotta for three herbs, with a saucer. Frost-proof when empty.",
        "#e9eee0",
        '<path d="M175 180q-10-70-50-80 0 60 50 80zM175 180q0-60 34-90 10 60-34 90z" fill="#4c8a4a"/>'
        '<path d="M295 180q-30-60-10-100 40 40 10 100zM295 180q10-60 60-70 0 55-60 70z" fill="#3c7340"/>'
        '<rect x="110" y="175" width="260" height="36" rx="8" fill="#c8714a"/>'
        '<path d="M124 211h232l-20 80H144z" fill="#b5623d"/>',
    ),
    Ware(
        "Garden",
        "Garden twine",
        "6.90",
        35,
        "Jute on a wooden reel. It holds tomatoes all summer and rots on the compost afterwards.",
        "#ece7da",
        '<rect x="170" y="84" width="140" height="24" rx="8" fill="#8b5e3c"/>'
        '<rect x="170" y="268" width="140" height="24" rx="8" fill="#8b5e3c"/>'
        '<rect x="186" y="108" width="108" height="160" fill="#6f9a4e"/>'
        '<path d="M186 130l108-14M186 156l108-14M186 182l108-14M186 208l108-14M186 234l108-14M186 260l108-14"'
        ' stroke="#557a3a" stroke-width="6"/>'
        '<path d="M294 246q70 10 60 60" fill="none" stroke="#6f9a4e" stroke-width="6"/>',
    ),
]

PAGES = {
    "About us": "We look for things that are used every day and are worth repairing.\n\n"
    "Everything here comes from workshops we have visited. When something breaks, send it back to be mended.",
    "Shipping": "We pack twice a week, in used cardboard, and ship within three working days.\n\n"
    "Orders above 80 travel free of charge.",
    "Imprint": "Juniper Goods is a demonstration. Nothing on these pages can really be bought.",
}
