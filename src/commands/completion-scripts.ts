/**
 * Completion for shells, made from what the argument parser of each subcommand knows: bash, zsh and
 * fish. Values of an option are its choices, or files where it takes one. Pure.
 */

export interface CommandShape {
  readonly name: string
  readonly summary: string
  readonly options: readonly OptionShape[]
  readonly operands: readonly OperandShape[]
}

export interface OptionShape {
  /** With its dashes. */
  readonly long: string
  readonly short?: string
  readonly description: string
  readonly value: 'none' | 'file' | 'folder' | 'text'
  readonly choices: readonly string[]
}

export interface OperandShape {
  readonly choices: readonly string[]
  /** What is completed by asking the local process. */
  readonly names: 'bgp-peers' | 'files' | 'nothing'
}

export type Shell = 'bash' | 'zsh' | 'fish'
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** What the local process calls its BGPPeers, once each. */
const BGP_PEERS = 'terway-edge peers -o name 2>/dev/null | cut -d/ -f1 | sort -u'

export function completionScript(shell: Shell, commands: readonly CommandShape[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(commands)
    case 'zsh':
      return zshScript(commands)
    case 'fish':
      return fishScript(commands)
  }
}

function bashScript(commands: readonly CommandShape[]): string {
  const cases = commands.map(({ name, options, operands }) => {
    const flags = options.flatMap(({ long, short }) => [long, ...(short === undefined ? [] : [short])])
    const values = options.filter(({ value }) => value !== 'none').map(option => `      ${bashValue(option)}`)
    const words = operands.map((operand, index) => `      ${index + 2}) ${bashOperand(operand)} ;;`)
    return [
      `  ${name})`,
      ...bashOperandCount(options),
      `    case $previous in`,
      ...values,
      `    esac`,
      `    if [[ $word == -* ]]; then COMPREPLY=($(compgen -W ${quoted(flags.join(' '))} -- "$word")); return; fi`,
      `    case $operand in`,
      ...words,
      `    esac ;;`,
    ].join('\n')
  })
  return `# bash completion of terway-edge; made by: terway-edge completion bash
_terway_edge() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} operand=1 index valued
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(' '))} -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}
complete -F _terway_edge terway-edge
`
}

/** Which operand the word is: neither options nor their values count. */
function bashOperandCount(options: readonly OptionShape[]): string[] {
  const valued = options
    .filter(({ value }) => value !== 'none')
    .flatMap(({ long, short }) => [long, ...(short === undefined ? [] : [short])])
  return [
    `    valued=${quoted(` ${valued.join(' ')} `)}`,
    '    for ((index = 1; index < COMP_CWORD; index++)); do',
    `      if [[ $valued == *" \${COMP_WORDS[index]} "* ]]; then ((index++))`,
    `      elif [[ \${COMP_WORDS[index]} != -* ]]; then ((operand++)); fi`,
    '    done',
  ]
}

function bashValue({ long, short, value, choices }: OptionShape): string {
  const names = [long, ...(short === undefined ? [] : [short])].join(' | ')
  if (choices.length > 0)
    return `${names}) COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$word")); return ;;`
  if (value === 'text') return `${names}) return ;;`
  return `${names}) COMPREPLY=($(compgen ${value === 'folder' ? '-d' : '-f'} -- "$word")); return ;;`
}

function bashOperand({ choices, names }: OperandShape): string {
  if (choices.length > 0) return `COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$word"))`
  if (names === 'bgp-peers') return `COMPREPLY=($(compgen -W "$(${BGP_PEERS})" -- "$word"))`
  return names === 'files' ? 'COMPREPLY=($(compgen -f -- "$word"))' : ''
}

function zshScript(commands: readonly CommandShape[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = commands.map(({ name, options, operands }) => {
    const specs = [...options.map(zshOption), ...operands.map((operand, index) => zshOperand(operand, index + 1))]
    return `    ${name}) _arguments ${specs.join(' ')} ;;`
  })
  return `#compdef terway-edge
# zsh completion of terway-edge; made by: terway-edge completion zsh
_terway_edge_peers() {
  local -a names=(\${(f)"$(${BGP_PEERS})"})
  _describe 'BGPPeer' names
}
_terway_edge() {
  local -a commands=(
${described.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  shift words
  ((CURRENT--))
  case $words[1] in
${cases.join('\n')}
  esac
}
_terway_edge "$@"
`
}

function zshOption({ long, short, description, value, choices }: OptionShape): string {
  const words = description.replaceAll(/[[\]:]/g, ' ')
  const action = choices.length > 0 ? `(${choices.join(' ')})` : ZSH_ACTIONS[value]
  const tail = `[${words}]${value === 'none' ? '' : `:value:${action}`}`
  if (short === undefined) return quoted(`${long}${tail}`)
  return `${quoted(`(${short} ${long})`)}{${short},${long}}${quoted(tail)}`
}

const ZSH_ACTIONS: Readonly<Record<OptionShape['value'], string>> = {
  none: '',
  file: '_files',
  folder: '_files -/',
  text: '',
}

function zshOperand({ choices, names }: OperandShape, at: number): string {
  if (choices.length > 0) return quoted(`${at}:word:(${choices.join(' ')})`)
  if (names === 'bgp-peers') return quoted(`${at}:BGPPeer:_terway_edge_peers`)
  return quoted(`${at}:word:${names === 'files' ? '_files' : ''}`)
}

function fishScript(commands: readonly CommandShape[]): string {
  const lines = commands.flatMap(({ name, summary, options, operands }) => {
    const within = `-n '__fish_seen_subcommand_from ${name}'`
    return [
      `complete -c terway-edge -f -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
      ...options.map(option => `complete -c terway-edge ${within} ${fishOption(option)}`),
      ...operands.flatMap(operand => {
        const words = fishOperand(operand)
        return words === undefined ? [] : [`complete -c terway-edge ${within} ${words}`]
      }),
    ]
  })
  return `# fish completion of terway-edge; made by: terway-edge completion fish\n${lines.join('\n')}\n`
}

function fishOption({ long, short, description, value, choices }: OptionShape): string {
  return [
    `-l ${long.replace(/^--/, '')}`,
    ...(short === undefined ? [] : [`-s ${short.replace(/^-/, '')}`]),
    ...(choices.length > 0
      ? [`-x -a ${quoted(choices.join(' '))}`]
      : value === 'none'
        ? []
        : [value === 'text' ? '-x' : '-r']),
    `-d ${quoted(description)}`,
  ].join(' ')
}

function fishOperand({ choices, names }: OperandShape): string | undefined {
  if (choices.length > 0) return `-f -a ${quoted(choices.join(' '))}`
  return names === 'bgp-peers' ? `-f -a ${quoted(`(${BGP_PEERS})`)}` : undefined
}

/** For all three shells: nothing in it is expanded. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
