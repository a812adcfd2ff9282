/**
 * Whether the path in a request's target is to be taken as it stands. One that steps up leads elsewhere for us than for a
 * proxy that passes on, unresolved, what begins with the path of the meetings: to the status page, which names people.
 */
export function isLiteralPath(target: string): boolean {
  const [path = ''] = target.split(/[?#]/)
  return !/\\|(^|\/)(\.|%2e){1,2}(\/|$)/i.test(path)
}
