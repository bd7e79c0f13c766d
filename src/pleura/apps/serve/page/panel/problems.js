// Errors of a film as text.

import { $, sentence } from "./elements.js";

const TITLES = {
  "urn:pleura:problem:unreadable-film": "This file could not be read",
  "urn:pleura:problem:unsuitable-film": "This picture cannot be segmented",
  "urn:pleura:problem:too-large": "The file is too large",
  "urn:pleura:problem:busy": "The server is busy",
  "urn:pleura:problem:key-needed": "The API key is missing or wrong",
  "urn:pleura:problem:too-slow": "The upload took too long",
  "urn:pleura:problem:took-too-long": "The server did not finish in time",
  "urn:pleura:problem:weights-error": "The server's weights are damaged",
  "about:blank": "Something went wrong in the server",
};

export const LOST = {
  title: "The picture cannot be shown",
  detail: "The browser cannot draw it, perhaps because memory is short; close other pages, then choose the film again.",
};

export const titleOf = (problem) => TITLES[problem.type] ?? problem.title;

export const textOf = (problem) => sentence(problem.detail);

/** Show a problem in place of the film, or none. */
export function showProblem(problem) {
  $("failure").hidden = !problem;
  $("failure-title").textContent = problem ? titleOf(problem) : "";
  $("failure-text").textContent = problem ? textOf(problem) : "";
  $("force").hidden = !problem?.can_force;
  $("retry").hidden = !problem || problem === LOST || !$("force").hidden;
}
