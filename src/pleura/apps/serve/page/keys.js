// Keys of the keyboard.

/** Keys that act once while they are held down: a film that was not seen is neither decided on nor removed. */
const ONCE = new Set(["y", "n", "m", "Delete"]);

/** Keys while outlines are edited. */
function editKeys(editing) {
  const pen = (value) => document.querySelector(`input[name="pen"][value="${value}"]`).click();
  return {
    ArrowLeft: () => editing.nudge(-1, 0),
    ArrowRight: () => editing.nudge(1, 0),
    ArrowUp: () => editing.nudge(0, -1),
    ArrowDown: () => editing.nudge(0, 1),
    " ": editing.stamp,
    b: () => pen("brush"),
    x: () => pen("eraser"),
    p: () => pen("pull"),
    "(": () => editing.useRadius(Math.round(editing.edit.radius / 1.25)),
    ")": () => editing.useRadius(Math.ceil(editing.edit.radius * 1.25)),
    Escape: editing.escape,
  };
}

/** Keys while a tool measures. */
function toolKeys(tool, actions) {
  return {
    ArrowLeft: ({ shiftKey }) => tool.nudge(-1, 0, shiftKey),
    ArrowRight: ({ shiftKey }) => tool.nudge(1, 0, shiftKey),
    ArrowUp: ({ shiftKey }) => tool.nudge(0, -1, shiftKey),
    ArrowDown: ({ shiftKey }) => tool.nudge(0, 1, shiftKey),
    " ": () => tool.stamp(),
    Escape: actions.move,
  };
}

/** Undo and redo with the control key; whether it was one of them. */
function isUndo(event, editing) {
  if (!editing.edit.isOn || !(event.ctrlKey || event.metaKey)) return false;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return false;
  event.preventDefault();
  if (key === "y" || event.shiftKey) editing.redo();
  else editing.undo();
  return true;
}

/** Listen to the keys: `actions` are those of the buttons, by name; `activeTool` gives the tool that measures, or null. */
export function listenToKeys(actions, viewer, editing, activeTool) {
  const whileEditing = editKeys(editing);
  const keys = {
    e: actions.edit,
    k: actions.compare,
    x: actions.swap,
    ArrowLeft: actions.previous,
    ArrowRight: actions.next,
    Delete: actions.remove,
    "+": actions.in,
    "=": actions.in,
    "-": actions.out,
    0: actions.fit,
    1: actions.native,
    i: actions.invert,
    m: actions.flip,
    y: actions.accept,
    n: actions.reject,
    j: actions["next-review"],
    c: actions.comment,
    t: actions.table,
    w: () => viewer.move(0, 40),
    z: () => viewer.move(0, -40),
    a: () => viewer.move(40, 0),
    s: () => viewer.move(-40, 0),
    "[": () => viewer.changeWindow(-0.05, 0),
    "]": () => viewer.changeWindow(0.05, 0),
    ",": () => viewer.changeWindow(0, -0.03),
    ".": () => viewer.changeWindow(0, 0.03),
    o: actions.style,
    d: actions.definition,
    l: actions.lungs,
    r: actions.ruler,
    h: actions.ratio,
  };
  document.addEventListener("keydown", (event) => {
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isTypingText = event.target.matches('input[type="text"], input[type="password"]');
    if (!isTypingText && isUndo(event, editing)) return;
    const isButton = event.key === " " && event.target.matches("button, input, summary");
    const tool = activeTool();
    const special = isButton ? {} : editing.edit.isOn ? whileEditing : tool ? toolKeys(tool, actions) : {};
    const action = special[name] ?? keys[name];
    const isWorking = !document.getElementById("work").hidden;
    const isTyping = event.target.matches('input:not([type="radio"], [type="range"]), select, textarea');
    if (event.target.id === "comment" && ["Enter", "Escape"].includes(event.key)) actions.film(); // the keys work again
    const isChoosing = event.target.matches('input[type="radio"], input[type="range"]') && event.key.startsWith("Arrow");
    if (!action || !isWorking || isTyping || isChoosing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.repeat && ONCE.has(name)) return;
    action(event);
  });
}
