"""The table as a picture: a bar for each case and peer, as long as s3lfs takes of the peer's time. Plain SVG, which takes the
reader's colours where it can (prefers-color-scheme)."""
from html import escape
from pathlib import Path

LEFT, UNIT, ROW, HEAD, MOST = 430, 260, 24, 64, 2.2
STYLE = """text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}.ahead{fill:#2da44e}.behind{fill:#bf8700}
.even{stroke:#57606a;stroke-dasharray:4 3}.floor{stroke:#cf222e;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}}"""


def draw(path: Path, machine: list[str], results: list[dict]):
    """Cases without a peer in this run are left out."""
    shown = [result for result in results if result["ratio"] is not None]
    height = HEAD + ROW * len(shown) + 30
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + UNIT * MOST + 150:.0f} {height}" role="img">',
             f"<title>s3lfs beside its peers</title><style>{STYLE}</style>",
             '<text x="8" y="20">Time of s3lfs, as part of the peer\'s: shorter is faster</text>',
             f'<text x="8" y="38" class="small">{escape("; ".join(machine[:1]))}</text>',
             '<text x="8" y="54" class="small">Red: Git with a filter that only answers; s5cmd beside a hash and a second copy</text>']
    for number, result in enumerate(shown):
        y, ratio = HEAD + ROW * number, result["ratio"]
        floor = result["seconds"].get(result.get("floor"))
        width = UNIT * min(ratio, MOST)
        more = "" if ratio <= MOST else " (cut)"
        lines.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(result["case"])}</text>'
                     f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}" class="{"ahead" if ratio <= 1 else "behind"}"/>'
                     f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}" class="small">{ratio:.2f} of {escape(result["against"])}{more}</text>')
        if floor is not None:
            x = LEFT + UNIT * min(floor / result["seconds"][result["against"]], MOST)
            lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + ROW - 2}" class="floor"/>')
    lines.append(f'<line x1="{LEFT + UNIT}" x2="{LEFT + UNIT}" y1="{HEAD - 6}" y2="{height - 26}" class="even"/>'
                 f'<text x="{LEFT + UNIT}" y="{height - 10}" text-anchor="middle" class="small">as fast</text></svg>')
    path.write_text("\n".join(lines) + "\n")
