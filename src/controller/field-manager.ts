/**
 * The name under which the controller owns fields (server-side apply): one, so that nothing has two
 * writers. Pure.
 */
export const FIELD_MANAGER = 'terway-edge-controller'
