// The strip: a thumbnail for each film, with its own name and verdict.

import * as panel from "/page/panel.js";

/** A thumbnail without a picture; `choose` is told of the film when it is clicked. */
export function addThumbnail(item, choose) {
  const button = document.createElement("button");
  const blank = document.createElement("span");
  const name = document.createElement("span");
  blank.className = "blank";
  blank.textContent = "…";
  name.className = "name";
  name.textContent = button.title = item.name;
  button.append(blank, name);
  button.addEventListener("click", () => choose(item));
  item.tile = button;
  const entry = document.createElement("li");
  entry.append(button);
  document.getElementById("films").append(entry);
}

export function drawThumbnail(item, bitmap, quality) {
  const scale = Math.min(184 / bitmap.width, 156 / bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  item.tile.querySelector(".blank").replaceWith(canvas);
  mark(item, quality);
}

/** The verdict on a thumbnail, by the definition on show. */
export function mark(item, quality) {
  item.tile.querySelector(".badge")?.remove();
  item.tile.append(panel.badge(quality));
}
