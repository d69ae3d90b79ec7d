"""Compiles a pattern of AWS's models to a deterministic automaton over classes of bytes.

The patterns are Java's, matched against the whole text. Python's own parser reads them; what it does not know (\\p{L},
\\uXXXX) is rewritten first. All bytes from 0x80 up behave alike: a class of characters holds them when it reaches
outside ASCII.
"""

import re

try:
    from re import _constants as constants, _parser as parser
except ImportError:  # before Python 3.11
    import sre_constants as constants
    import sre_parse as parser

OTHER = 0x80  # stands for every byte that is not ASCII
ALPHABET = range(0x81)
STATES_MAX = 4096


class Unsupported(Exception):
    pass


def rewrite(pattern):
    properties = {
        "L": "a-zA-Z\x80", "Ll": "a-z\x80", "Lu": "A-Z\x80", "N": "0-9\x80", "Nd": "0-9\x80", "Z": " \x80", "S": "$+<=>^`|~\x80",
        "P": "!-#%-*,-/:;?@\\[-\\]_{}\x80", "M": "\x80", "C": "\x00-\x1f\x7f\x80", "Graph": "!-~", "Print": " -~",
        "ASCII": "\x00-\x7f", "Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9",
    }
    out, inside, i = [], False, 0
    while i < len(pattern):
        match = re.match(r"\\p\{(\w+)\}", pattern[i:])
        if match:
            content = properties[match.group(1).removeprefix("Is")]
            out.append(content if inside else f"[{content}]")
            i += match.end()
            continue
        match = re.match(r"\\u([0-9A-Fa-f]{4,5})", pattern[i:]) or re.match(r"\\x\{([0-9A-Fa-f]+)\}", pattern[i:])
        if match:
            out.append(f"\\x{min(int(match.group(1), 16), OTHER):02x}")
            i += match.end()
            continue
        if pattern[i] == "\\":
            out.append(pattern[i : i + 2])
            i += 2
            continue
        if pattern[i] == "[":
            inside = True
        elif pattern[i] == "]":
            inside = False
        out.append(pattern[i] if ord(pattern[i]) < OTHER else "\x80")
        i += 1
    return "".join(out)


def category(name):
    table = {
        constants.CATEGORY_DIGIT: r"\d", constants.CATEGORY_NOT_DIGIT: r"\D", constants.CATEGORY_SPACE: r"\s",
        constants.CATEGORY_NOT_SPACE: r"\S", constants.CATEGORY_WORD: r"\w", constants.CATEGORY_NOT_WORD: r"\W",
    }
    return {c for c in ALPHABET if re.match(table[name], chr(c), re.ASCII)}


class Automaton:
    """Thompson's construction; states are numbers, edges carry a set of symbols or nothing."""

    def __init__(self):
        self.free = []   # state -> states reached without a symbol
        self.edges = []  # state -> [(symbols, state)]

    def state(self):
        self.free.append([])
        self.edges.append([])
        return len(self.free) - 1

    def add(self, items, start):
        for op, argument in items:
            start = self.one(op, argument, start)
        return start

    def symbols(self, op, argument):
        if op is constants.LITERAL:
            return {min(argument, OTHER)}
        if op is constants.NOT_LITERAL:
            return set(ALPHABET) - {argument}
        if op is constants.ANY:
            return set(ALPHABET) - {10, 13}
        if op is constants.IN:
            chosen, negated = set(), False
            for inner, value in argument:
                if inner is constants.NEGATE:
                    negated = True
                elif inner is constants.RANGE:
                    chosen |= set(range(min(value[0], OTHER), min(value[1], OTHER) + 1))
                elif inner is constants.CATEGORY:
                    chosen |= category(value)
                else:
                    chosen |= self.symbols(inner, value)
            # Outside ASCII a negated class holds nearly everything, whatever it names there.
            return (set(ALPHABET) - chosen) | {OTHER} if negated else chosen
        return None

    def one(self, op, argument, start):
        symbols = self.symbols(op, argument)
        if symbols is not None:
            end = self.state()
            self.edges[start].append((frozenset(symbols), end))
            return end
        if op is constants.AT:
            return start  # ^ and $: the whole text is matched anyway
        if op is constants.SUBPATTERN:
            return self.add(argument[3], start)
        if op is constants.BRANCH:
            end = self.state()
            for branch in argument[1]:
                first = self.state()
                self.free[start].append(first)
                self.free[self.add(branch, first)].append(end)
            return end
        if op in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            least, most, items = argument
            for _ in range(least):
                start = self.add(items, start)
            end = self.state()
            if most is constants.MAXREPEAT:
                loop = self.state()
                self.free[start].append(loop)
                self.free[self.add(items, loop)].append(loop)
                self.free[loop].append(end)
                return end
            self.free[start].append(end)
            for _ in range(most - least):
                start = self.add(items, start)
                self.free[start].append(end)
            return end
        raise Unsupported(str(op))

    def closure(self, states):
        seen, work = set(states), list(states)
        while work:
            for target in self.free[work.pop()]:
                if target not in seen:
                    seen.add(target)
                    work.append(target)
        return frozenset(seen)


def compile_pattern(pattern):
    """Returns (byte_class[256], class count, next[state][class], accepting[state]); 0 is dead, 1 the start."""
    nfa = Automaton()
    start = nfa.state()
    end = nfa.add(parser.parse(rewrite(pattern)), start)
    # Bytes that no edge tells apart share a class.
    sets = {symbols for edges in nfa.edges for symbols, _ in edges}
    classes, byte_class = {}, []
    for symbol in ALPHABET:
        byte_class.append(classes.setdefault(tuple(symbol in s for s in sorted(sets, key=sorted)), len(classes)))
    representative = {}
    for symbol, number in enumerate(byte_class):
        representative.setdefault(number, symbol)
    first = nfa.closure({start})
    numbers, work = {frozenset(): 0, first: 1}, [first]
    transitions = {0: [0] * len(classes)}
    while work:
        states = work.pop()
        row = []
        for number in range(len(classes)):
            target = nfa.closure({t for s in states for symbols, t in nfa.edges[s] if representative[number] in symbols})
            if target not in numbers:
                numbers[target] = len(numbers)
                work.append(target)
            row.append(numbers[target])
        transitions[numbers[states]] = row
        if len(numbers) > STATES_MAX:
            raise Unsupported("too many states")
    accepting = [0] * len(numbers)
    for states, number in numbers.items():
        accepting[number] = int(end in states)
    table = byte_class[:OTHER] + [byte_class[OTHER]] * (256 - OTHER)
    return table, len(classes), [transitions[i] for i in range(len(numbers))], accepting
