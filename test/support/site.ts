/** Site: every page that the relay serves, by its path. */
import { guideNames } from "../../web/guides.tsx";

const guides = ["guides", ...guideNames.map((name) => `guides/${name}`)];
export const pages = ["", "usage", "sessions", "downloads", "faq", ...guides];
