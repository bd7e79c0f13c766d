// Calls from the page to the worker: `await call("view", id)`.

import { requestOf } from "../films/film.js";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map(); // the calls without an answer yet
const listeners = new Map(); // by film: who hears of its progress
let calls = 0;

worker.addEventListener("message", ({ data: { call: number, answer, problem, progress, film } }) => {
  if (progress) {
    listeners.get(film)?.(progress);
    return;
  }
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  if (problem) reject(problem);
  else resolve(answer);
});

/** Run a job of the worker. */
export function call(job, ...values) {
  return new Promise((resolve, reject) => {
    waiting.set(++calls, { resolve, reject });
    worker.postMessage({ call: calls, job, values });
  });
}

/** Send a film; `onProgress` is called with { step, share }. */
export async function segment(film, onProgress) {
  listeners.set(film.id, onProgress);
  try {
    return await call("segment", requestOf(film));
  } finally {
    listeners.delete(film.id);
  }
}
