/** Files embedded as text with `with { type: 'text' }`. */
declare module '*.yaml' {
  const text: string
  export default text
}
declare module '*.service' {
  const text: string
  export default text
}
