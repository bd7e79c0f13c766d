// Keys of the keyboard.

/** Listen to the keys: `actions` are those of the buttons, by name. */
export function listenToKeys(actions, viewer) {
  const keys = {
    ArrowLeft: actions.previous,
    ArrowRight: actions.next,
    Delete: actions.remove,
    "+": actions.in,
    "=": actions.in,
    "-": actions.out,
    0: actions.fit,
    1: actions.native,
    i: actions.invert,
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
  };
  document.addEventListener("keydown", (event) => {
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const isWorking = !document.getElementById("work").hidden;
    const isTyping = event.target.matches('input:not([type="radio"], [type="range"]), select, textarea');
    const isChoosing = event.target.matches('input[type="radio"], input[type="range"]') && event.key.startsWith("Arrow");
    if (!action || !isWorking || isTyping || isChoosing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}
