/** Time over hosts, as an SVG written by hand: one line for each contestant, 20 deckies per host. */
import { CONTESTANTS, type ContestantName } from './contestant.ts';
import type { Line } from './report.ts';

export const PLOT_DECKIES = 20;

const [WIDTH, HEIGHT] = [720, 440];
const AREA = { left: 64, right: 24, top: 48, bottom: 56 } as const;
/** Okabe and Ito: told apart without colour vision. */
const COLOURS: Readonly<Record<ContestantName, string>> = {
  Deckhand: '#0072b2',
  'bare, outside work': '#e69f00',
  'bare Temporal': '#009e73',
  DECNET: '#d55e00',
};

/** Round steps, at most eight of them. */
function ticksUpTo(most: number): number[] {
  const rough = most / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${words}</text>`;

/** Null where fewer than two sizes can be plotted. */
export function plotOf(lines: readonly Line[]): string | null {
  const shown = lines.filter(({ size }) => size.deckies === PLOT_DECKIES);
  const hosts = [...new Set(shown.map(({ size }) => size.hosts))].sort((a, b) => a - b);
  if (hosts.length < 2) return null;
  const [mostHosts, mostSeconds] = [Math.max(...hosts), Math.max(...shown.map((line) => line.endedSeconds))];
  const x = (count: number): number => AREA.left + (count / mostHosts) * (WIDTH - AREA.left - AREA.right);
  const y = (seconds: number): number =>
    HEIGHT - AREA.bottom - (seconds / mostSeconds) * (HEIGHT - AREA.top - AREA.bottom);
  const grid = [
    ...ticksUpTo(mostSeconds).map(
      (tick) =>
        `<line x1="${AREA.left}" x2="${WIDTH - AREA.right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" stroke="#ddd"/>` +
        text(AREA.left - 8, y(tick) + 4, String(tick), 'text-anchor="end"'),
    ),
    ...hosts.map((count) => text(x(count), HEIGHT - AREA.bottom + 20, String(count), 'text-anchor="middle"')),
    text(WIDTH / 2, HEIGHT - 12, `hosts, ${PLOT_DECKIES} deckies each`, 'text-anchor="middle"'),
    text(16, AREA.top - 16, 'seconds until the last row has ended (median)'),
  ];
  const curves = CONTESTANTS.flatMap((who, index) => curveOf(who, index, shown, x, y));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...grid,
    ...curves,
    '</svg>\n',
  ].join('\n');
}

type Scale = (value: number) => number;

function curveOf(who: ContestantName, index: number, lines: readonly Line[], x: Scale, y: Scale): string[] {
  const points = lines
    .filter(({ contestant }) => contestant === who)
    .sort((a, b) => a.size.hosts - b.size.hosts)
    .map(({ size, endedSeconds }) => ({ size, at: [x(size.hosts), y(endedSeconds)] as const, endedSeconds }));
  if (points.length === 0) return [];
  const colour = COLOURS[who];
  const path = points.map(({ at }) => at.map((value) => value.toFixed(1)).join(',')).join(' ');
  const dots = points.map(
    ({ size, at, endedSeconds }) =>
      `<circle cx="${at[0].toFixed(1)}" cy="${at[1].toFixed(1)}" r="4" fill="${colour}"><title>${who}, ${size.hosts} hosts: ${endedSeconds.toFixed(2)} s</title></circle>`,
  );
  const legend = AREA.top + 8 + index * 20;
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...dots,
    `<line x1="${AREA.left + 12}" x2="${AREA.left + 36}" y1="${legend}" y2="${legend}" stroke="${colour}" stroke-width="3"/>`,
    text(AREA.left + 44, legend + 4, who),
  ];
}
