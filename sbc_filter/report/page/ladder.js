// The ladder of a call: the peer on the left, the SBC on the right, the filter in the middle.

const LEFT = 0, MIDDLE = 50, RIGHT = 100, STEP = 26;
const percent = (number) => `${number}%`;

function arrow(from, to, y, kind) {
  const back = to < from;
  const head = makeSvg("svg", { x: percent(to), y, width: 1, height: 1, overflow: "visible" },
    makeSvg("polygon", { class: kind, points: back ? "0,0 8,-4 8,4" : "0,0 -8,-4 -8,4" }));
  return [makeSvg("line", { class: kind, x1: percent(from), x2: percent(to), y1: y, y2: y }), head];
}

function label(x, y, text, kind) {
  const made = makeSvg("text", { x: percent(x), y: y - 5, "text-anchor": "middle", class: kind });
  made.append(plainText(text));
  return made;
}

const plainText = (text) => text.replace(/[\ue000-\ue003]/g, "");
const lifelines = (height) => [LEFT, MIDDLE, RIGHT].map((x) =>
  makeSvg("line", { class: x === MIDDLE ? "life filter" : "life", x1: percent(x), x2: percent(x), y1: 0, y2: height }));

// One message: in, what leaves, what is sent back. Its words are for readers that do not see the picture.
function drawMessage(message, texts) {
  const near = message.bySbc ? RIGHT : LEFT;
  const far = RIGHT - near;
  const nodes = [...arrow(near, MIDDLE, STEP, "in"), label((near + MIDDLE) / 2, STEP, texts[message.title], "in")];
  const words = [];
  let y = STEP;
  if (!message.sent.length) {
    const stop = makeSvg("svg", { x: percent(MIDDLE), y: STEP, width: 1, height: 1, overflow: "visible" },
      makeSvg("path", { class: "stop", d: "M-5,-5 5,5 M5,-5 -5,5" }));
    nodes.push(stop, label((far + MIDDLE) / 2, STEP + 9, "stopped here", "stop"));
    words.push("stopped by the filter");
  }
  message.sent.forEach((each, at) => {
    y = STEP * (at + 1);
    nodes.push(...arrow(MIDDLE, far, y, each ? "changed" : "in"));
    if (each) {
      const title = each.title === message.title ? "changed" : `${texts[each.title]}, changed`;
      const box = makeSvg("svg", { x: percent(MIDDLE), y, width: 1, height: 1, overflow: "visible" },
        makeSvg("rect", { class: "box", x: -5, y: -5, width: 10, height: 10 }));
      nodes.push(box, label((far + MIDDLE) / 2, y, title, "changed"));
    }
    words.push(each ? "changed by the filter" : "passed unchanged");
  });
  message.answers.forEach((each) => {
    y += STEP;
    nodes.push(...arrow(MIDDLE, near, y, "answer"), label((near + MIDDLE) / 2, y, texts[each.title], "answer"));
    words.push(`answered by the filter: ${plainText(texts[each.title])}`);
  });
  const height = y + 10;
  const picture = makeSvg("svg", { class: "lane", width: "100%", height, "aria-hidden": "true" },
    ...lifelines(height), ...nodes);
  return { picture, words: words.join(", ") };
}

function readMessage(raw) {
  const [after, packet, file, src, dst, bySbc, title, rows, sent, answers] = raw;
  return {
    after, packet, file, src, dst, bySbc, title, rows,
    sent: sent.map((each) => each && { title: each[0], rows: each[1] }),
    answers: answers.map((each) => ({ title: each[0], rows: each[1] })),
  };
}

const decided = (message) => !message.sent.length || message.sent.some(Boolean) || message.answers.length;

// The ladder as a list of buttons; `show(message)` is called with the one that was chosen.
function ladder(raw, texts, show) {
  const messages = raw.messages.map(readMessage);
  const list = make("ol", { class: "ladder" });
  const buttons = messages.map((message) => {
    const { picture, words } = drawMessage(message, texts);
    const time = `+${(message.after / 1000).toFixed(3)} s`;
    const button = make("button", { type: "button", "aria-pressed": "false" },
      make("span", { class: "when" }, make("span", {}, time), make("span", {}, `packet ${message.packet}`)),
      picture,
      make("span", { class: "unseen" },
        `${plainText(texts[message.title])} from the ${message.bySbc ? "SBC" : "peer"}, ${words}`));
    button.addEventListener("click", () => choose(message, button));
    list.append(make("li", {}, button));
    return button;
  });
  function choose(message, button) {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    show(message);
  }
  const first = Math.max(0, messages.findIndex(decided));
  if (messages.length) choose(messages[first], buttons[first]);
  return list;
}
