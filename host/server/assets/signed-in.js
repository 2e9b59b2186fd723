// After a sign-in: store the act key for changes, and open the next page.
import { rememberKey } from "./act.js";

rememberKey();
