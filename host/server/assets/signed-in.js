// Behind a sign-in: keep the key that changes want, and go on.
import { rememberKey } from "./act.js";

rememberKey();
