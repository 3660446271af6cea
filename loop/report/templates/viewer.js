"use strict";
// Structure viewer: atoms, bonds and the cell, drawn on a canvas in depth order; and the same structure as CIF.
const DATA = JSON.parse(document.getElementById("data").textContent);
const LOOKS = DATA.looks;
const rad = (degrees) => (degrees * Math.PI) / 180;
function cellVectors([a, b, c, alpha, beta, gamma]) {
  const cosA = Math.cos(rad(alpha)), cosB = Math.cos(rad(beta)), cosG = Math.cos(rad(gamma)), sinG = Math.sin(rad(gamma));
  const y = (cosA - cosB * cosG) / sinG;
  return [[a, 0, 0], [b * cosG, b * sinG, 0], [c * cosB, c * y, c * Math.sqrt(Math.max(0, 1 - cosB * cosB - y * y))]];
}
const toCartesian = (cell, f) => [0, 1, 2].map((i) => f[0] * cell[0][i] + f[1] * cell[1][i] + f[2] * cell[2][i]);
// Atoms on a face, edge or corner of the cell are drawn on every equivalent one.
function imagesInCell(site) {
  const choices = site.map((x) => (x < 0.02 ? [x, x + 1] : x > 0.98 ? [x, x - 1] : [x]));
  return choices[0].flatMap((x) => choices[1].flatMap((y) => choices[2].map((z) => [x, y, z])));
}
function scene(structure) {
  const cell = cellVectors(structure.cell);
  const middle = toCartesian(cell, [0.5, 0.5, 0.5]);
  const place = (f) => toCartesian(cell, f).map((x, i) => x - middle[i]);
  const atoms = structure.sites.flatMap((site, i) => imagesInCell(site).map((f) => ({ symbol: structure.symbols[i], at: place(f) })));
  const bonds = [];
  for (let i = 0; i < atoms.length; i++) for (let j = 0; j < i; j++) {
    const reach = 1.15 * (LOOKS[atoms[i].symbol].radius + LOOKS[atoms[j].symbol].radius);
    const distance = Math.hypot(...atoms[i].at.map((x, k) => x - atoms[j].at[k]));
    if (distance > 0.4 && distance < reach && atoms[i].symbol !== atoms[j].symbol) bonds.push([atoms[i], atoms[j]]);
  }
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => place([n & 1, (n >> 1) & 1, (n >> 2) & 1]));
  const edges = [];
  for (let n = 0; n < 8; n++) for (const bit of [1, 2, 4]) if (!(n & bit)) edges.push([corners[n], corners[n | bit]]);
  const size = Math.max(...corners.map((corner) => Math.hypot(...corner)), 1);
  return { atoms, bonds, edges, size };
}
const viewer = { dialog: document.getElementById("viewer"), canvas: document.getElementById("viewer-canvas"), turnX: -1.2, turnZ: 0.5, zoom: 1, scene: null, structure: null, opener: null };
function turned([x, y, z]) {
  const cosZ = Math.cos(viewer.turnZ), sinZ = Math.sin(viewer.turnZ), cosX = Math.cos(viewer.turnX), sinX = Math.sin(viewer.turnX);
  const u = x * cosZ - y * sinZ, v = x * sinZ + y * cosZ;
  return [u, v * cosX - z * sinX, v * sinX + z * cosX];
}
function draw() {
  const { canvas, scene: world } = viewer;
  const pen = canvas.getContext("2d");
  const scale = (0.46 * Math.min(canvas.width, canvas.height) * viewer.zoom) / world.size;
  const flat = (at) => { const [x, y, z] = turned(at); return [canvas.width / 2 + x * scale, canvas.height / 2 - y * scale, z]; };
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const line = (p, q, width, colour) => { pen.strokeStyle = colour; pen.lineWidth = width; pen.beginPath(); pen.moveTo(p[0], p[1]); pen.lineTo(q[0], q[1]); pen.stroke(); };
  for (const [p, q] of world.edges) line(flat(p), flat(q), 1.5, "#777");
  const things = world.atoms.map((atom) => ({ depth: turned(atom.at)[2], atom }));
  for (const bond of world.bonds) things.push({ depth: (turned(bond[0].at)[2] + turned(bond[1].at)[2]) / 2 - 0.01, bond });
  things.sort((a, b) => a.depth - b.depth);
  for (const { atom, bond } of things) {
    if (bond) { line(flat(bond[0].at), flat(bond[1].at), 0.14 * scale, "#9a9a9a"); continue; }
    const [x, y] = flat(atom.at), look = LOOKS[atom.symbol], radius = 0.42 * look.radius * scale;
    const shade = pen.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
    shade.addColorStop(0, "#fff"); shade.addColorStop(0.35, `rgb(${look.colour})`); shade.addColorStop(1, `rgb(${look.colour.map((part) => Math.round(part * 0.55))})`);
    pen.fillStyle = shade; pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.fill();
  }
  [...new Set(viewer.structure.symbols)].forEach((symbol, i) => {
    pen.fillStyle = `rgb(${LOOKS[symbol].colour})`; pen.strokeStyle = "#333"; pen.lineWidth = 1.5; pen.beginPath(); pen.arc(30, 34 + 36 * i, 12, 0, 2 * Math.PI); pen.fill(); pen.stroke();
    pen.fillStyle = "#1b1b1f"; pen.font = "24px system-ui, sans-serif"; pen.fillText(symbol, 52, 42 + 36 * i);
  });
}
function cifOf(structure) {
  const names = ["_cell_length_a", "_cell_length_b", "_cell_length_c", "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"];
  const counts = {};
  const sites = structure.symbols.map((symbol, i) => `${symbol} ${symbol}${(counts[symbol] = (counts[symbol] || 0) + 1)} 1 ${structure.sites[i].map((x) => x.toFixed(5)).join(" ")} 1`);
  return [`data_${structure.formula}`, "_symmetry_space_group_name_H-M 'P 1'", "_symmetry_Int_Tables_number 1", ...names.map((name, i) => `${name} ${structure.cell[i]}`),
    "loop_", "_symmetry_equiv_pos_site_id", "_symmetry_equiv_pos_as_xyz", "1 'x, y, z'", "loop_", "_atom_site_type_symbol", "_atom_site_label", "_atom_site_symmetry_multiplicity",
    "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy", ...sites, ""].join("\n");
}
function openStructure(key, opener) {
  const structure = DATA.structures[key];
  if (!structure) return;
  const [a, b, c, alpha, beta, gamma] = structure.cell;
  Object.assign(viewer, { structure, scene: scene(structure), zoom: 1, opener });
  document.getElementById("viewer-title").textContent = `${structure.formula}: lowest structure found`;
  const text = `${structure.symbols.length} atoms in the cell; a, b, c = ${a.toFixed(2)}, ${b.toFixed(2)}, ${c.toFixed(2)} Å; α, β, γ = ${alpha.toFixed(1)}, ${beta.toFixed(1)}, ${gamma.toFixed(1)}°`;
  document.getElementById("viewer-text").textContent = text;
  viewer.canvas.setAttribute("aria-label", `${structure.formula}, ${text}`);
  if (!viewer.dialog.open) viewer.dialog.showModal();
  draw();
}
function turn(x, z, zoom = 1) { viewer.turnX += x; viewer.turnZ += z; viewer.zoom = Math.min(8, Math.max(0.2, viewer.zoom * zoom)); draw(); }
viewer.canvas.addEventListener("pointermove", (event) => { if (event.buttons) turn(event.movementY / 150, event.movementX / 150); });
viewer.canvas.addEventListener("wheel", (event) => { event.preventDefault(); turn(0, 0, event.deltaY < 0 ? 1.1 : 1 / 1.1); }, { passive: false });
viewer.canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [0, -0.15], ArrowRight: [0, 0.15], ArrowUp: [-0.15, 0], ArrowDown: [0.15, 0], "+": [0, 0, 1.15], "-": [0, 0, 1 / 1.15] };
  if (steps[event.key]) { event.preventDefault(); turn(...steps[event.key]); }
});
document.getElementById("viewer-cif").addEventListener("click", () => save(viewer.structure.file, cifOf(viewer.structure), "chemical/x-cif"));
document.getElementById("viewer-close").addEventListener("click", () => viewer.dialog.close());
viewer.dialog.addEventListener("close", () => viewer.opener && viewer.opener.focus());
document.querySelectorAll("[data-structure]").forEach((element) => {
  const open = () => openStructure(element.dataset.structure, element);
  element.addEventListener("click", open);
  if (element.tagName.toLowerCase() !== "button") element.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } });
});
// What a place on a map holds, beside the pointer or the focused place.
const tip = document.getElementById("tip");
document.querySelectorAll("[data-tip]").forEach((spot) => {
  const show = () => {
    const box = spot.getBoundingClientRect();
    tip.textContent = spot.dataset.tip;
    tip.hidden = false;
    tip.style.left = `${Math.max(8, Math.min(box.right + 8, innerWidth - tip.offsetWidth - 16)) + scrollX}px`;
    tip.style.top = `${box.bottom + 6 + scrollY}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const [name, action] of [["pointerenter", show], ["focus", show], ["pointerleave", hide], ["blur", hide]]) spot.addEventListener(name, action);
});
