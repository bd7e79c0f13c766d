// The films of the page: the state of each one, and the list of all.

let last = 0;

/** All films, in the order in which they were added. */
export const films = [];

/** The state of a film. `label` is its name, and no other film has it. */
export function newFilm({ file, name, force = false }) {
  return {
    id: ++last,
    file,
    name, // with the folders that it was chosen with
    label: uniqueLabel(name),
    force, // segment it even if it is a photograph
    status: "waiting", // then "working", then "done" or "failed"
    progress: "waiting", // its progress as text
    share: null, // the share of the upload that is sent
    result: null,
    masks: null, // the PNG file of the mask, by definition
    problem: null, // the problem details of its error
    edited: {}, // by definition: whether its masks were edited by hand
    isMeasuring: false, // whether edited masks are being measured
    revealed: false, // whether outlines and measurements of a refused film are shown
    saving: new Set(), // downloads under way
  };
}

/** The name with a number before its suffix if another film has it. */
function uniqueLabel(name) {
  const [, stem, suffix] = name.match(/^(.*?)(\.[^./]*)?$/s);
  for (let number = 1; ; number++) {
    const label = number === 1 ? name : `${stem} (${number})${suffix ?? ""}`;
    if (!films.some((film) => film.label === label)) return label;
  }
}

export const withStatus = (...statuses) => films.filter((film) => statuses.includes(film.status));

/** The label without its suffix, for the names of results. */
export const stemOf = ({ label }) => label.replace(/\.[^./]*$/, "") || "film";

let definition = "field"; // the one that the user selected

export const selectDefinition = (name) => { definition = name; };

/** The selected definition, or the one that the weights give. */
export const definitionOf = ({ result }) => (definition in result.lungs ? definition : Object.keys(result.lungs)[0]);

/** Verdict, measurements and notes of a film by the selected definition. */
export const lungsOf = (film) => film.result.lungs[definitionOf(film)];

export const verdictOf = (film) => lungsOf(film).quality.verdict;

/** Whether outlines and measurements are hidden: those of a refused film, until the user shows them. */
export const isVeiled = (film) => film.status === "done" && verdictOf(film) === "refused" && !film.revealed;
