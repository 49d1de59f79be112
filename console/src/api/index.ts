export { Api, ApiError, type Query } from "./api";
export type { Event, StreamState } from "./stream";
