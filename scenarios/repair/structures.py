# SPDX-License-Identifier: Apache-2.0
"""Utility functions over graphs, intervals, queues and tables."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "merge_intervals(intervals)",
        "Merge [start, end] pairs that overlap or touch, and return them sorted.",
        """
        merged = []
        for start, end in sorted(intervals):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        return merged
        """,
        ("merge_intervals([[5, 8], [1, 3], [3, 4]])", [[1, 4], [5, 8]]),
        ("merge_intervals([[1, 10], [2, 3]])", [[1, 10]]),
        ("merge_intervals([])", []),
    ),
    utility(
        "free_slots(busy, start, end)",
        "Return the gaps between start and end that no [from, to] of busy covers, sorted. busy is\n"
        "in any order, may overlap and may reach outside.",
        """
        gaps, reached = [], start
        for first, last in sorted(busy):
            if first > reached:
                gaps.append([reached, min(first, end)])
            reached = max(reached, last)
            if reached >= end:
                break
        if reached < end:
            gaps.append([reached, end])
        return [gap for gap in gaps if gap[0] < gap[1]]
        """,
        ("free_slots([[3, 5], [1, 2]], 0, 6)", [[0, 1], [2, 3], [5, 6]]),
        ("free_slots([[-5, 9]], 0, 6)", []),
        ("free_slots([], 0, 6)", [[0, 6]]),
        ("free_slots([[1, 4], [2, 3], [8, 9]], 0, 6)", [[0, 1], [4, 6]]),
    ),
    utility(
        "most_at_once(intervals)",
        "Return the largest number of [start, end) intervals that hold at one time.",
        """
        events = [(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals]
        count = most = 0
        for _, step in sorted(events):
            count += step
            most = max(most, count)
        return most
        """,
        ("most_at_once([[0, 5], [3, 8], [4, 6]])", 3),
        ("most_at_once([[0, 2], [2, 4]])", 1),
        ("most_at_once([])", 0),
    ),
    utility(
        "shortest_path(graph, start, goal)",
        "Return a path with the fewest steps from start to goal as a list of nodes, or None. graph\n"
        "is a dict of node to its neighbours; of equally short paths take the one whose nodes come\n"
        "first in the neighbours' order.",
        """
        before = {start: None}
        queue = [start]
        for node in queue:
            if node == goal:
                path = []
                while node is not None:
                    path.append(node)
                    node = before[node]
                return path[::-1]
            for neighbour in graph.get(node, []):
                if neighbour not in before:
                    before[neighbour] = node
                    queue.append(neighbour)
        return None
        """,
        ("shortest_path({'a': ['b', 'c'], 'b': ['d'], 'c': ['d']}, 'a', 'd')", ["a", "b", "d"]),
        ("shortest_path({'a': []}, 'a', 'z')", None),
        ("shortest_path({}, 'x', 'x')", ["x"]),
        ("shortest_path({'a': ['a', 'b'], 'b': ['a']}, 'a', 'b')", ["a", "b"]),
    ),
    utility(
        "cheapest(graph, start)",
        "Return the least cost from start to every node that can be reached, as a dict sorted by\n"
        "node. graph is a dict of node to a dict of neighbour to cost, none of them negative.",
        """
        costs, heap = {}, [(0, start)]
        while heap:
            cost, node = heapq.heappop(heap)
            if node in costs:
                continue
            costs[node] = cost
            for neighbour, step in graph.get(node, {}).items():
                if neighbour not in costs:
                    heapq.heappush(heap, (cost + step, neighbour))
        return dict(sorted(costs.items()))
        """,
        ("cheapest({'a': {'b': 5, 'c': 1}, 'c': {'b': 2}}, 'a')", {"a": 0, "b": 3, "c": 1}),
        ("cheapest({}, 'a')", {"a": 0}),
        ("cheapest({'a': {'b': 1}, 'b': {'a': 1}, 'z': {'a': 1}}, 'a')", {"a": 0, "b": 1}),
        imports="import heapq",
    ),
    utility(
        "components(nodes, edges)",
        "Return the groups of nodes that edges connect, each sorted, ordered by their first node.",
        """
        neighbours = {node: [] for node in nodes}
        for a, b in edges:
            neighbours[a].append(b)
            neighbours[b].append(a)
        seen, groups = set(), []
        for node in sorted(nodes):
            if node in seen:
                continue
            group, stack = [], [node]
            seen.add(node)
            while stack:
                current = stack.pop()
                group.append(current)
                for other in neighbours[current]:
                    if other not in seen:
                        seen.add(other)
                        stack.append(other)
            groups.append(sorted(group))
        return groups
        """,
        ("components([1, 2, 3, 4], [[4, 1], [2, 3]])", [[1, 4], [2, 3]]),
        ("components([2, 1], [])", [[1], [2]]),
        ("components([], [])", []),
        ("components([1, 2, 3], [[1, 2], [2, 3], [3, 1]])", [[1, 2, 3]]),
    ),
    utility(
        "has_cycle(graph)",
        "Tell whether a directed graph, a dict of node to the nodes it points to, has a cycle.",
        """
        done, active = set(), set()

        def visit(node):
            if node in active:
                return True
            if node in done:
                return False
            active.add(node)
            found = any(visit(other) for other in graph.get(node, []))
            active.discard(node)
            done.add(node)
            return found

        return any(visit(node) for node in graph)
        """,
        ("has_cycle({'a': ['b'], 'b': ['a']})", True),
        ("has_cycle({'a': ['b', 'c'], 'b': ['c']})", False),
        ("has_cycle({'a': ['a']})", True),
        ("has_cycle({})", False),
    ),
    utility(
        "tree_paths(tree)",
        "Return all paths from the root to the leaves of a tree of dicts, as texts joined by '/',\n"
        "in order. A leaf is an empty dict.",
        """
        paths = []
        for name, below in tree.items():
            if below:
                paths.extend(f"{name}/{path}" for path in tree_paths(below))
            else:
                paths.append(name)
        return paths
        """,
        ("tree_paths({'a': {'b': {}, 'c': {'d': {}}}, 'e': {}})", ["a/b", "a/c/d", "e"]),
        ("tree_paths({})", []),
    ),
    utility(
        "build_tree(paths)",
        "Build a tree of dicts from paths such as 'a/b/c'. Empty parts are passed over.",
        """
        tree = {}
        for path in paths:
            node = tree
            for part in path.split("/"):
                if part:
                    node = node.setdefault(part, {})
        return tree
        """,
        ("build_tree(['a/b', 'a/c', 'd'])", {"a": {"b": {}, "c": {}}, "d": {}}),
        ("build_tree([])", {}),
        ("build_tree(['/x//y/'])", {"x": {"y": {}}}),
        ("build_tree(['a/b', 'a'])", {"a": {"b": {}}}),
    ),
    utility(
        "lru_hits(requests, size)",
        "Count how many requests a cache answers that keeps the size most recently used keys.",
        """
        cache, hits = [], 0
        for key in requests:
            if key in cache:
                hits += 1
                cache.remove(key)
            elif len(cache) == size and cache:
                cache.pop(0)
            if size:
                cache.append(key)
        return hits
        """,
        ("lru_hits('abcab', 2)", 0),
        ("lru_hits('abacab', 2)", 2),
        ("lru_hits('aaa', 1)", 2),
        ("lru_hits('aa', 0)", 0),
        ("lru_hits('abcabc', 3)", 3),
    ),
    utility(
        "allow_requests(times, limit, window)",
        "Decide for each request whether it is allowed: at most limit allowed requests within any\n"
        "window seconds, a request exactly window seconds old no longer counts. times rise.",
        """
        allowed, answers = [], []
        for now in times:
            allowed = [then for then in allowed if now - then < window]
            answers.append(len(allowed) < limit)
            if answers[-1]:
                allowed.append(now)
        return answers
        """,
        ("allow_requests([0, 1, 2, 10], 2, 10)", [True, True, False, True]),
        ("allow_requests([5, 5], 1, 1)", [True, False]),
        ("allow_requests([], 1, 1)", []),
        ("allow_requests([0, 4, 5, 9], 1, 5)", [True, False, True, False]),
    ),
    utility(
        "retry_delays(attempts, first, factor, most)",
        "Return the seconds to wait before each retry: first, then factor times the one before,\n"
        "never more than most.",
        """
        delays = []
        for attempt in range(attempts):
            delays.append(min(first * factor**attempt, most))
        return delays
        """,
        ("retry_delays(5, 1, 2, 10)", [1, 2, 4, 8, 10]),
        ("retry_delays(0, 1, 2, 10)", []),
        ("retry_delays(2, 20, 3, 10)", [10, 10]),
    ),
    utility(
        "apply_patch(lines, changes)",
        "Apply changes to a list of lines: each is ['delete', n], ['replace', n, text] or ['insert',\n"
        "n, text], n counting from 1 in the original; insert puts text before line n, and n one\n"
        "beyond the end appends.",
        """
        deleted, replaced, inserted = set(), {}, {}
        for kind, number, *text in changes:
            if kind == "delete":
                deleted.add(number)
            elif kind == "replace":
                replaced[number] = text[0]
            else:
                inserted.setdefault(number, []).append(text[0])
        out = []
        for number, line in enumerate(lines, 1):
            out.extend(inserted.get(number, []))
            if number not in deleted:
                out.append(replaced.get(number, line))
        return out + inserted.get(len(lines) + 1, [])
        """,
        (
            "apply_patch(['a', 'b', 'c'], [['delete', 1], ['insert', 3, 'x'], ['replace', 3, 'z']])",
            ["b", "x", "z"],
        ),
        ("apply_patch([], [['insert', 1, 'a']])", ["a"]),
        ("apply_patch(['a'], [['insert', 2, 'b'], ['insert', 2, 'c']])", ["a", "b", "c"]),
    ),
    utility(
        "longest_common_subsequence(left, right)",
        "Return the length of the longest subsequence that two texts have in common.",
        """
        row = [0] * (len(right) + 1)
        for a in left:
            corner = 0
            for index, b in enumerate(right, 1):
                corner, row[index] = row[index], (
                    corner + 1 if a == b else max(row[index], row[index - 1])
                )
        return row[-1]
        """,
        ("longest_common_subsequence('ABCBDAB', 'BDCABA')", 4),
        ("longest_common_subsequence('', 'x')", 0),
        ("longest_common_subsequence('abc', 'abc')", 3),
        ("longest_common_subsequence('abc', 'xyz')", 0),
    ),
    utility(
        "binary_search(values, wanted)",
        "Return the position of the first element that is not smaller than wanted in a sorted list;\n"
        "the length of the list where all are smaller.",
        """
        low, high = 0, len(values)
        while low < high:
            middle = (low + high) // 2
            if values[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        return low
        """,
        ("binary_search([1, 3, 3, 5], 3)", 1),
        ("binary_search([1, 3], 9)", 2),
        ("binary_search([], 1)", 0),
        ("binary_search([2, 4], 1)", 0),
        ("binary_search([2, 4], 3)", 1),
    ),
    utility(
        "simulate_queue(arrivals, service)",
        "One clerk serves customers in the order of their rising arrivals, each for service\n"
        "minutes. Return the minutes each waits before being served.",
        """
        free, waits = 0, []
        for arrival in arrivals:
            begin = max(free, arrival)
            waits.append(begin - arrival)
            free = begin + service
        return waits
        """,
        ("simulate_queue([0, 1, 10], 4)", [0, 3, 0]),
        ("simulate_queue([5], 3)", [0]),
        ("simulate_queue([0, 0, 0], 2)", [0, 2, 4]),
        ("simulate_queue([], 1)", []),
    ),
    utility(
        "life_step(rows)",
        "Return the next generation of Conway's game of life on a table of '#' and '.', given and\n"
        "returned as texts. Cells outside are dead.",
        """
        def alive(y, x):
            return 0 <= y < len(rows) and 0 <= x < len(rows[y]) and rows[y][x] == "#"

        out = []
        for y, row in enumerate(rows):
            line = ""
            for x, cell in enumerate(row):
                near = sum(
                    alive(y + dy, x + dx)
                    for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx
                )
                line += "#" if near == 3 or (near == 2 and cell == "#") else "."
            out.append(line)
        return out
        """,
        ("life_step(['...', '###', '...'])", [".#.", ".#.", ".#."]),
        ("life_step(['##', '##'])", ["##", "##"]),
        ("life_step(['#'])", ["."]),
        ("life_step([])", []),
    ),
)  # fmt: skip
