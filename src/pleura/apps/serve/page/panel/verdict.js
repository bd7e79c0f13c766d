// The verdict on a film: its name, its sign, and the reasons to doubt.

import { $, text, twoDecimals, wrap } from "./elements.js";

const VERDICTS = {
  ok: { sign: "✓", name: "OK", text: "No reason was found to doubt these outlines. Still, a program made them." },
  review: { sign: "!", name: "Please review", text: "Look at the outlines before you use them:" },
  refused: { sign: "✕", name: "Refused", text: "Do not use these outlines or their measurements:" },
};

/** Doubts that a mirrored film explains. */
const MIRRORED = ["heart_on_right", "sides_exchanged", "said_mirrored"];

/** A verdict for screen readers: its name and its reasons. */
export const verdictText = ({ verdict, doubts, heart }) =>
  [VERDICTS[verdict].name, ...[...doubts, ...(heart?.doubts ?? [])].map((doubt) => doubt.text)].join(". ");

export const verdictName = (verdict) => VERDICTS[verdict].name;

/** The badge of a thumbnail: a sign, and a name for screen readers. */
export function badge({ verdict }) {
  const sign = text("span", VERDICTS[verdict].sign);
  sign.setAttribute("aria-hidden", "true");
  const element = wrap("span", sign, text("span", ` ${VERDICTS[verdict].name}`, "unseen"));
  element.className = "badge";
  element.dataset.verdict = verdict;
  return element;
}

/** Show a verdict; `isFlipped` tells whether the film's mirror image was asked for, `canFlip` whether that can be changed. */
export function showVerdict({ verdict, doubts, estimated_dice: dice }, { isFlipped, canFlip }) {
  const { sign, name, text: advice } = VERDICTS[verdict];
  $("verdict").dataset.verdict = verdict;
  document.querySelector("#verdict .sign").textContent = sign;
  $("verdict-name").textContent = name;
  $("verdict-text").textContent = advice;
  $("doubts").replaceChildren(...doubts.map((doubt) => text("li", doubt.text)));
  $("mirror-offer").hidden = !canFlip || !doubts.some(({ code }) => MIRRORED.includes(code));
  $("mirror-again").textContent = isFlipped ? "Undo the mirroring and try again" : "Mirror and try again";
  $("estimate").textContent = dice === null ? "" : `Estimated Dice with a mask drawn by a reader: ${twoDecimals.format(dice)}.`;
  $("estimate").hidden = dice === null;
}

export function clearVerdict() {
  delete $("verdict").dataset.verdict;
  document.querySelector("#verdict .sign").textContent = "";
  for (const id of ["verdict-name", "verdict-text", "estimate"]) $(id).textContent = "";
  $("doubts").replaceChildren();
  $("mirror-offer").hidden = true;
}
