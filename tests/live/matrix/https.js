// SPDX-License-Identifier: GPL-2.0-or-later
// https.js - Node's own https: each line of standard input is a target, one
// after the other over a connection that is kept.
"use strict";
const fs = require("fs");
const https = require("https");

const targets = fs.readFileSync(0, "utf8").trimEnd().split("\n");
const agent = new https.Agent({
	ca: fs.readFileSync(process.env.CA), keepAlive: true, maxSockets: 1,
});

function next() {
	if (!targets.length) {
		agent.destroy();
		return;
	}
	https.get({
		host: process.env.HOST, port: process.env.TLS_PORT, agent,
		path: targets.shift(),
	}, (answer) => {
		answer.resume();
		answer.on("end", next);
	});
}

next();
