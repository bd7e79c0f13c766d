// Small pieces of the page: elements, numbers and sentences.

export const $ = (id) => document.getElementById(id);

const UNDEFINED = "–";
export const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const oneDecimal = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const twoDecimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const formatted = (format, value) => (value === null || value === undefined ? UNDEFINED : format.format(value));

/** An element with a text. */
export function text(tag, content, className = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  if (className) element.className = className;
  return element;
}

/** An element with others in it. */
export function wrap(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

/** The text with a capital at the beginning and a full stop at the end. */
export function sentence(content) {
  const trimmed = content.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

const HEAD = 26; // letters at the beginning and at the end of a long name that are shown
const TAIL = 22;

/** A name that is short enough to be read whole; a long one without its middle, as names often differ at the end. */
export const shortened = (name) => (name.length > HEAD + TAIL + 1 ? `${name.slice(0, HEAD)}…${name.slice(-TAIL)}` : name);

/** Tell screen readers; nothing is seen. */
export const announce = (content) => { $("status").textContent = content; };

/** Tell everyone, until the message is closed. */
export function tell(content) {
  $("message-text").textContent = content;
  $("message").hidden = false;
}
