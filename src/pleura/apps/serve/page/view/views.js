// Views: picture, outlines and windows of a film, complete or not at all; the last ones are kept.

import { call } from "../worker/client.js";
import { pathOf } from "./outlines.js";

const MOST = 8;
const kept = new Map(); // by film, the latest one at the end
const loading = new Map(); // the views that the worker prepares now

/** The view of a film if it is kept, so that it can be drawn at once; otherwise null. */
export const keptView = (id) => kept.get(id) ?? null;

/** The view of a film. */
export async function viewOf(id) {
  const view = kept.get(id) ?? (await loadOnce(id));
  kept.delete(id);
  kept.set(id, view);
  for (const oldest of [...kept.keys()].slice(0, -MOST)) forgetView(oldest);
  return view;
}

export function forgetView(id) {
  kept.delete(id); // its picture is freed when the viewer has dropped it
}

function loadOnce(id) {
  if (!loading.has(id)) loading.set(id, load(id).finally(() => loading.delete(id)));
  return loading.get(id);
}

async function load(id) {
  const view = await call("view", id);
  const paths = Object.entries(view.outlines).map(([definition, masks]) => [
    definition,
    Object.fromEntries(Object.entries(masks).map(([name, polygons]) => [name, pathOf(polygons)])),
  ]);
  return { ...view, polygons: view.outlines, outlines: Object.fromEntries(paths) };
}
