/**
 * Two terminals as one animated SVG: each line appears when it was printed, with long pauses cut short. Where motion is not wanted,
 * all of them stand there.
 */

const WIDTH = 960;
const LINE = 19;
const PAD = 14;
const TITLE = 30;
const GAP = 14;
/** Characters of a line that fit. */
const COLUMNS = 108;
/** No pause of the picture is longer than this. */
const PAUSE_MS = 2_500;
/** How long the end stands before it begins again. */
const REST_MS = 6_000;
const NAMES = { stack: 'npm start', deploy: 'a second terminal' };

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const cut = (text) => (text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text);

function colour(text) {
  if (/^\$ kill/.test(text)) return '#ff7b72';
  if (text.startsWith('$')) return '#79c0ff';
  if (/succeeded/.test(text)) return '#7ee787';
  if (/failed|SIGKILL|ended/.test(text)) return '#ffa657';
  return '#c9d1d9';
}

function terminal(name, top, lines) {
  const height = TITLE + lines.length * LINE + PAD;
  const rows = lines.map(
    ({ text, number }, at) =>
      `<text class="l l${number}" x="${PAD}" y="${top + TITLE + PAD / 2 + (at + 0.6) * LINE}" fill="${colour(text)}">${escaped(cut(text))}</text>`,
  );
  const frame =
    `<rect x="1" y="${top}" width="${WIDTH - 2}" height="${height}" rx="8" fill="#0d1117" stroke="#30363d"/>` +
    `<text class="t" x="${PAD}" y="${top + 20}" fill="#8b949e">${NAMES[name]}</text>`;
  return { height, text: [frame, ...rows].join('\n') };
}

/** When each line appears. */
function shortened(recorded) {
  let shown = 0;
  let before = 0;
  return recorded.map((line, number) => {
    shown += Math.min(line.at - before, PAUSE_MS);
    before = line.at;
    return { ...line, at: shown, number };
  });
}

export function draw(recorded) {
  const lines = shortened(recorded.filter(({ text }) => text.trim() !== ''));
  const total = Math.max(...lines.map(({ at }) => at)) + REST_MS;
  const percent = (ms) => ((100 * ms) / total).toFixed(2);
  const upper = terminal(
    'stack',
    0,
    lines.filter(({ terminal: of }) => of === 'stack'),
  );
  const lower = terminal(
    'deploy',
    upper.height + GAP,
    lines.filter(({ terminal: of }) => of === 'deploy'),
  );
  const height = upper.height + GAP + lower.height + 1;
  const frames = lines.map(
    ({ at, number }) =>
      `@keyframes k${number}{0%,${percent(at)}%{opacity:0}${percent(at + 1)}%,100%{opacity:1}}.l${number}{animation-name:k${number}}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img"
 aria-label="A deploy of five deckies goes on and succeeds after its worker was killed with SIGKILL.">
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
.t{font-weight:bold}
.l{animation-duration:${total}ms;animation-iteration-count:infinite;animation-timing-function:step-end}
${frames.join('\n')}
@media (prefers-reduced-motion:reduce){.l{animation:none}}
</style>
${upper.text}
${lower.text}
</svg>
`;
}
