// The strip of thumbnails: one for each film, with its name and verdict.

import * as panel from "/page/panel.js";

/** Add a thumbnail without a picture; a click on it calls `onSelect` with the film. */
export function addThumbnail(item, onSelect) {
  const button = document.createElement("button");
  const blank = document.createElement("span");
  const name = document.createElement("span");
  blank.className = "blank";
  blank.textContent = "…";
  name.className = "name";
  name.textContent = button.title = item.name;
  button.append(blank, name);
  button.addEventListener("click", () => onSelect(item));
  item.tile = button;
  const entry = document.createElement("li");
  entry.append(button);
  document.getElementById("films").append(entry);
}

/** Draw the picture and the verdict of a film on its thumbnail. */
export function drawThumbnail(item, bitmap, quality) {
  const scale = Math.min(184 / bitmap.width, 156 / bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  item.tile.querySelector(".blank").replaceWith(canvas);
  showBadge(item, quality);
}

/** Show the verdict on a thumbnail, by the selected definition. */
export function showBadge(item, quality) {
  item.tile.querySelector(".badge")?.remove();
  item.tile.append(panel.badge(quality));
}
