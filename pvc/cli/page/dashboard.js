// Shows what the stream tells. All text is put in as text: a name or a reason can never become markup.
"use strict";

const ROWS = 500; // more lines nobody reads, and the browser has to draw them
const EVENTS = 200;
const MACHINES_OF_NODES = ["node", "flush", "fence"];
const FIELD = { domain: "state", migration: "phase", node: "state", flush: "flush", fence: "fence" };
const parts = new Map();
let chosen = null; // the key of the VM or node that is shown in its machine
let drawn = null; // the machine whose picture is there

const byId = (id) => document.getElementById(id);

function cell(row, text, look) {
  const made = row.insertCell();
  made.textContent = text ?? "";
  if (look) made.className = look;
}

function of(kind) {
  return [...parts].filter(([key, value]) => key.startsWith(kind + "/") && value !== null)
    .sort(([, one], [, other]) => String(one.name).localeCompare(String(other.name)));
}

function showHead() {
  const cluster = parts.get("cluster");
  if (!cluster) return;
  const counted = (states) => Object.entries(states).map(([state, number]) => `${number} ${state}`).join(", ") || "none";
  document.title = byId("name").textContent = cluster.cluster.name;
  const bad = cluster.losses.filter((loss) => loss.left.length).map((loss) => loss.node);
  const silent = [...new Set(cluster.losses.flatMap((loss) => loss.unmeasured))].sort();
  const spare = cluster.stranded.length ? "Not all VMs have room."
    : bad.length ? `Without ${bad.join(" or ")} not all VMs have room.`
    : silent.length ? `Whether a node can be lost is not known: nothing is known of the memory of ${silent.join(", ")}.`
    : "All VMs have room without any one node.";
  byId("summary").textContent = `${cluster.nodes.alive} of ${cluster.nodes.count} nodes answer. ${cluster.vms.count} VMs: ` +
    `${counted(cluster.vms.states)}. ${cluster.memory.free_mib} of ${cluster.memory.total_mib} MiB free. ` +
    spare + (cluster.cluster.hold.on ? " The hold is on." : "");
  stale(cluster.connected ? "" : "ZooKeeper does not answer: this is how it was.");
  const list = byId("attention");
  list.replaceChildren(...cluster.attention.map((finding) => {
    const item = document.createElement("li");
    item.className = finding.level === "problem" ? "bad" : "warn";
    item.textContent = `${finding.about}: ${finding.sentence} `;
    if (finding.next_step) item.append(Object.assign(document.createElement("code"), { textContent: finding.next_step }));
    return item;
  }));
  if (!cluster.attention.length) list.append(Object.assign(document.createElement("li"), { textContent: "Nothing.", className: "good" }));
}

function stale(text) {
  byId("stale").textContent = text;
  byId("stale").hidden = !text;
}

function rowOf(body, key) {
  const row = body.insertRow();
  row.dataset.key = key;
  row.tabIndex = 0;
  if (key === chosen) row.className = "chosen";
  return row;
}

function showNodes() {
  const body = document.createElement("tbody");
  for (const [key, node] of of("node")) {
    const row = rowOf(body, key), stats = node.alive ? node.stats : null;
    cell(row, node.name);
    cell(row, node.unreadable ? "?" : node.alive ? node.state : `${node.state}, does not answer`, node.alive && node.state === "run" ? "good" : "bad");
    cell(row, node.flush, node.flush === "ready" ? "" : "warn");
    cell(row, node.fence?.phase, node.fence?.phase === "none" ? "" : "bad");
    cell(row, stats?.domains ?? "-");
    cell(row, stats ? `${stats.memory_free_mib} of ${stats.memory_total_mib} MiB free` : "-");
    cell(row, stats ? stats.load.toFixed(2) : "-");
    cell(row, node.note);
  }
  byId("nodes").tBodies[0].replaceWith(body);
}

function showVms() {
  const body = document.createElement("tbody"), wanted = byId("filter").value.trim().toLowerCase();
  const fits = (vm) => vm.uuid === wanted || [vm.name, vm.state, vm.owner, vm.home].some((text) => String(text ?? "").toLowerCase().includes(wanted));
  const found = of("vm").filter(([, vm]) => !wanted || fits(vm));
  for (const [key, vm] of found.slice(0, ROWS)) {
    const row = rowOf(body, key), well = vm.want === "start" ? vm.state === "start" : ["stop", "disable"].includes(vm.state);
    cell(row, vm.name ?? vm.uuid);
    cell(row, vm.state ?? "?", ["failed", "conflict", undefined].includes(vm.state) ? "bad" : vm.state === "start" ? "good" : "");
    cell(row, vm.want, well ? "" : "warn");
    cell(row, vm.owner ?? "-", vm.owner && vm.owner !== vm.home ? "warn" : "");
    cell(row, vm.home ?? "-");
    cell(row, vm.memory_mib ? `${vm.memory_mib} MiB` : "");
    cell(row, vm.note);
  }
  byId("vms").tBodies[0].replaceWith(body);
  byId("more").textContent = found.length > ROWS ? `... and ${found.length - ROWS} more: say which above.` : "";
}

async function draw(machine) {
  const answer = await fetch(`/diagram/${machine}.svg`), text = await answer.text();
  if (byId("machine").value !== machine) return; // another was chosen meanwhile
  drawn = null;
  if (answer.ok) {
    byId("diagram").replaceChildren(document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true));
    drawn = machine;
  } else {
    byId("diagram").textContent = text;
  }
  mark();
}

function titled(kind) {
  return [...byId("diagram").querySelectorAll(`g.${kind}`)].map((group) => [group, group.querySelector("title").textContent]);
}

function mark() {
  const machine = byId("machine").value, one = parts.get(chosen);
  const fitting = one && chosen.startsWith("node/") === MACHINES_OF_NODES.includes(machine);
  byId("chosen").textContent = fitting ? one.name : "(choose a VM or a node above)";
  if (drawn !== machine) return;
  const counts = parts.get("cluster")?.counts ?? {};
  for (const [group, title] of titled("node")) {
    const [owner, state] = title.split("."), label = group.querySelector("text:not(.count)"); // a picture may show two machines
    group.classList.toggle("here", !!fitting && state === stateIn(owner, one));
    group.querySelector("text.count")?.remove();
    if (label && state && counts[owner]) count(group, label, counts[owner][state] ?? 0);
  }
  for (const [group, title] of titled("edge")) {
    const owner = title.split(".")[0], last = fitting ? one.last?.[owner] : null;
    group.classList.toggle("last", !!last && leads(title.split("->"), owner, last, group));
  }
}

function stateIn(machine, one) {
  if (machine === "migration") return one.migration?.phase ?? "none";
  return machine === "fence" ? one.fence?.phase : one[FIELD[machine]];
}

function count(group, label, number) {
  const box = label.getBBox(), made = document.createElementNS("http://www.w3.org/2000/svg", "text");
  made.setAttribute("class", "count");
  made.setAttribute("x", box.x + box.width);
  made.setAttribute("y", box.y - 4);
  made.textContent = number;
  group.append(made);
}

// An arrow that leads back is drawn the other way round, and one that leaves a frame begins at a point in it.
function leads([begin, end], machine, [source, trigger, dest], group) {
  const from = `${machine}.${source}`, to = `${machine}.${dest}`, words = [...group.querySelectorAll("text")].map((text) => text.textContent);
  const ends = (begin === from && end === to) || (begin === to && end === from) || (end === to && begin.startsWith(`${machine}.from_`));
  return ends && words.some((word) => word.trim().replace("*", "") === trigger);
}

function happened(entries) {
  const list = byId("events");
  for (const one of entries) {
    const item = document.createElement("li"), way = one.from === one.to ? `stays ${one.to}` : `${one.from || "-"} -> ${one.to}`;
    item.textContent = `${one.time} ${one.of}: ${one.machine === "domain" ? "" : one.machine + " "}${way} (${one.trigger} by ${one.who})${one.why ? ": " + one.why : ""}`;
    list.prepend(item);
  }
  while (list.children.length > EVENTS) list.lastChild.remove();
}

function choose(key) {
  const node = key.startsWith("node/"), machine = byId("machine");
  chosen = key;
  if (node !== MACHINES_OF_NODES.includes(machine.value)) machine.value = node ? "node" : "domain";
  show();
}

function show() {
  showHead();
  showNodes();
  showVms();
  drawn === byId("machine").value ? mark() : draw(byId("machine").value);
}

for (const table of ["nodes", "vms"]) {
  const pick = (event) => event.target.closest("tr[data-key]") && choose(event.target.closest("tr[data-key]").dataset.key);
  byId(table).addEventListener("click", pick);
  byId(table).addEventListener("keydown", (event) => event.key === "Enter" && pick(event));
}
byId("filter").addEventListener("input", showVms);
byId("machine").addEventListener("change", show);

const stream = new EventSource("/stream");
stream.onopen = () => { parts.clear(); byId("events").replaceChildren(); };
stream.onmessage = (message) => {
  const news = JSON.parse(message.data);
  for (const [key, value] of Object.entries(news.parts)) parts.set(key, value);
  happened(news.happened);
  show();
};
stream.onerror = () => stale("pvc dashboard has ended, or does not answer: this is how it was.");
