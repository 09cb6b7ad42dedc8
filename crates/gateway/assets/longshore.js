// The dashboard's script. Every page works without it: forms post, links lead, charts are drawn by the gateway.
import { startClock } from "./clock.js";
import { startDialogs } from "./dialogs.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startTheme } from "./theme.js";

const live = startLive();
startClock(live);
const theme = startTheme();
startDialogs(live);
startForms();
startKeys({ live, theme });
