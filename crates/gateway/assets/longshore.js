// The dashboard's script. Every page works without it: forms post, links lead, charts are drawn by the gateway.
import { startClock } from "./clock.js";
import { startDialogs } from "./dialogs.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startTheme } from "./theme.js";

// On a phone the views stand in a row that scrolls: the one that is shown is in sight.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

const live = startLive();
startClock(live);
const theme = startTheme();
startDialogs(live);
startForms();
startKeys({ live, theme });
