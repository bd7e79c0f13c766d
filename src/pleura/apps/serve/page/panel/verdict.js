// The verdict on a film: its name, its sign, and the reasons to doubt.

import { $, text, twoDecimals, wrap } from "./elements.js";

const VERDICTS = {
  ok: { sign: "✓", name: "OK", text: "No reason was found to doubt these outlines. Still, a program made them." },
  review: { sign: "!", name: "Please review", text: "Look at the outlines before you use them:" },
  refused: { sign: "✕", name: "Refused", text: "Do not use these outlines or their measurements:" },
};

/** A verdict for screen readers: its name and its reasons. */
export const verdictText = ({ verdict, doubts, heart }) =>
  [VERDICTS[verdict].name, ...[...doubts, ...(heart?.doubts ?? [])].map((doubt) => doubt.text)].join(". ");

/** The badge of a thumbnail: a sign, and a name for screen readers. */
export function badge({ verdict }) {
  const sign = text("span", VERDICTS[verdict].sign);
  sign.setAttribute("aria-hidden", "true");
  const element = wrap("span", sign, text("span", ` ${VERDICTS[verdict].name}`, "unseen"));
  element.className = "badge";
  element.dataset.verdict = verdict;
  return element;
}

export function showVerdict({ verdict, doubts, estimated_dice: dice }) {
  const { sign, name, text: advice } = VERDICTS[verdict];
  $("verdict").dataset.verdict = verdict;
  document.querySelector("#verdict .sign").textContent = sign;
  $("verdict-name").textContent = name;
  $("verdict-text").textContent = advice;
  $("doubts").replaceChildren(...doubts.map((doubt) => text("li", doubt.text)));
  $("estimate").textContent = dice === null ? "" : `Estimated Dice with a mask drawn by a reader: ${twoDecimals.format(dice)}.`;
  $("estimate").hidden = dice === null;
}

export function clearVerdict() {
  delete $("verdict").dataset.verdict;
  document.querySelector("#verdict .sign").textContent = "";
  for (const id of ["verdict-name", "verdict-text", "estimate"]) $(id).textContent = "";
  $("doubts").replaceChildren();
}
