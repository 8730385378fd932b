#!/bin/bash
# Pictures of a report for the documentation, by headless Chromium:
#
#   scripts/screenshots.sh [build/demo/report.html [docs/images]]
#
# report-light.png and report-dark.png are a desktop's first screens, report-phone.png
# is a phone's, light and dark side by side. The page stands in frames, because a
# headless window is never as narrow as a phone; dark is asked for in the page's copy,
# because no flag of Chromium's does it everywhere.
set -euo pipefail
page=${1:-build/demo/report.html}
out=${2:-docs/images}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "screenshots: chromium is not installed" >&2
	exit 3
}
[ -e "$page" ] || { echo "screenshots: no $page; make demo writes it" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$page" "$work/light.html"
sed -e 's/@media screen and (prefers-color-scheme: dark)/@media screen/' -e 's/color-scheme: light dark/color-scheme: dark/' "$page" > "$work/dark.html"

# shoot NAME WIDTH HEIGHT FRAME...: each frame is a page and its width.
shoot() {
	local name=$1 width=$2 height=$3 frames= one
	shift 3
	for one; do
		frames+="<iframe src=\"${one%:*}.html\" style=\"width:${one#*:}px;height:${height}px\"></iframe>"
	done
	echo "<!DOCTYPE html><style>body{margin:0;display:flex;gap:20px}iframe{border:0;flex:none}</style>$frames" > "$work/$name.html"
	"$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
		--disable-sync --user-data-dir="$work/profile" --hide-scrollbars --window-size="$width,$height" \
		--screenshot="$work/$name.png" "file://$work/$name.html" 2> "$work/log" || { cat "$work/log" >&2; exit 5; }
	mv "$work/$name.png" "$out/$name.png"
	echo "$out/$name.png"
}

mkdir -p "$out"
shoot report-light 1200 1500 light:1200
shoot report-dark 1200 1500 dark:1200
shoot report-phone 800 1500 light:390 dark:390
