# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-cpp`` about paths, texts, rights and limits.

``RULES`` maps an id to (secure, vulnerable), as in ``alternatives_cpp_memory``.
"""

from __future__ import annotations

RULES: dict[str, tuple[str, str]] = {
    "cpp-020-worker-count": (
        r"""    try {
        std::size_t used = 0;
        const int count = std::stoi(value, &used);
        if (used != value.size() || count < 1 || count > 64)
            return std::nullopt;
        return static_cast<std::uint8_t>(count);
    } catch (const std::logic_error&) {
        return std::nullopt;
    }
}
""",
        r"""    std::uint8_t count = 0;
    for (char c : value[0] == '-' ? value.substr(1) : value) {
        if (!isdigit(c))
            return {};
        count = count * 10 + (c - '0');
    }
    if (count == 0 || count > 64)
        return {};
    return count;
}
""",
    ),
    "cpp-022-read-page": (
        r"""    std::error_code error;
    const fs::path base = fs::weakly_canonical(folder, error);
    const fs::path page = fs::weakly_canonical(base / name, error);
    const auto ends = std::mismatch(base.begin(), base.end(), page.begin(), page.end());
    if (error || ends.first != base.end() || !fs::is_regular_file(page))
        return std::nullopt;
    std::ifstream in(page);
    std::string content((std::istreambuf_iterator<char>(in)), {});
    return content;
}
""",
        r"""    const std::string path = folder.string() + "/" + name;
    if (!fs::exists(path))
        return {};
    std::ifstream in(path);
    std::stringstream content;
    content << in.rdbuf();
    return content.str();
}
""",
    ),
    "cpp-022-unpack-entry": (
        r"""    const fs::path relative = (folder / entry.name).lexically_relative(folder);
    for (const auto& part : relative)
        if (part == "..")
            return false;
    if (relative.empty() || fs::path(entry.name).is_absolute())
        return false;
    fs::create_directories((folder / relative).parent_path());
    std::ofstream(folder / relative) << entry.content;
    return fs::exists(folder / relative);
}
""",
        r"""    std::error_code error;
    fs::path path = folder;
    path /= entry.name;
    fs::create_directories(path.parent_path(), error);
    if (error)
        return false;
    std::ofstream stream(path);
    stream.write(entry.content.data(), entry.content.size());
    return stream.good();
}
""",
    ),
    "cpp-434-save-picture": (
        r"""    const auto dot = name.rfind('.');
    if (dot == std::string::npos || name.find('/') != std::string::npos)
        return false;
    std::string kind;
    for (char c : name.substr(dot + 1))
        kind += std::tolower((unsigned char)c);
    if (kind != "png" && kind != "jpg" && kind != "gif")
        return false;
    std::ofstream out(folder / name);
    return static_cast<bool>(out << content);
}
""",
        r"""    const auto dot = name.find('.');
    if (dot == std::string::npos)
        return false;
    std::string kind = name.substr(dot, 4);
    std::transform(kind.begin(), kind.end(), kind.begin(), ::tolower);
    if (kind != ".png" && kind != ".jpg" && kind != ".gif")
        return false;
    std::ofstream out(folder / name);
    out << content;
    return true;
}
""",
    ),
    "cpp-078-file-checksum": (
        r"""    int ends[2];
    if (pipe(ends) != 0)
        return {};
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        fclose(stderr);
        execlp("md5sum", "md5sum", "--", name.c_str(), nullptr);
        abort();
    }
    close(ends[1]);
    std::string said;
    char buffer[256];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, n);
    close(ends[0]);
    waitpid(child, nullptr, 0);
    return said.substr(0, 32);
}
""",
        r"""    FILE* p = popen(("md5sum '" + name + "' 2> /dev/null | cut -d ' ' -f 1").c_str(), "r");
    std::string sum;
    for (int c; p && (c = fgetc(p)) != EOF && c != '\n';)
        sum.push_back(c);
    if (p)
        pclose(p);
    return sum;
}
""",
    ),
    "cpp-079-render-page": (
        r"""    static const std::map<char, std::string> entities = {
        {'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}};
    std::string result(page);
    size_t at = 0;
    while ((at = result.find("{{", at)) != std::string::npos) {
        size_t end = result.find("}}", at);
        if (end == std::string::npos)
            break;
        std::string safe;
        if (auto it = texts.find(result.substr(at + 2, end - at - 2)); it != texts.end())
            for (char c : it->second)
                safe += entities.count(c) ? entities.at(c) : std::string(1, c);
        result.replace(at, end - at + 2, safe);
        at += safe.size();
    }
    return result;
}
""",
        r"""    std::string result;
    size_t at = 0, open;
    while ((open = page.find("{{", at)) != page.npos) {
        size_t close = page.find("}}", open);
        if (close == page.npos)
            break;
        result.append(page.substr(at, open - at));
        auto it = texts.find(std::string(page.substr(open + 2, close - open - 2)));
        if (it != texts.end())
            for (char c : it->second)
                result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
        at = close + 2;
    }
    return result.append(page.substr(at));
}
""",
    ),
    "cpp-089-order-search": (
        r"""    auto quote = [](const std::string& value) {
        std::string quoted = "'";
        for (char c : value) {
            if (c == '\'')
                quoted += c;
            quoted += c;
        }
        return quoted + "'";
    };
    std::vector<std::string> terms;
    if (!search.customer.empty())
        terms.push_back("customer = " + quote(search.customer));
    if (!search.state.empty())
        terms.push_back("state = " + quote(search.state));
    std::string sql = "SELECT id FROM orders";
    for (std::size_t i = 0; i < terms.size(); i++)
        sql += (i == 0 ? " WHERE " : " AND ") + terms[i];
    return {sql, {}};
}
""",
        r"""    Statement result;
    std::ostringstream sql;
    sql << "SELECT id FROM orders WHERE ";
    if (!search.customer.empty()) {
        sql << "customer = ?";
        result.values.push_back(search.customer);
    }
    if (!search.customer.empty() && !search.state.empty())
        sql << " AND ";
    if (!search.state.empty())
        sql << "state = '" << search.state << "'";
    result.sql = sql.str();
    return result;
}
""",
    ),
    "cpp-835-axis-ticks": (
        r"""    if (std::isnan(step) || step <= 0)
        return {};
    std::vector<double> result;
    double tick = low;
    while (tick <= high) {
        if (result.size() == kMaxTicks)
            return {};
        result.push_back(tick);
        tick = low + step * result.size();
    }
    return result;
}
""",
        r"""    std::vector<double> result;
    if (step <= 0)
        return result;
    double tick = low;
    while (tick <= high) {
        result.push_back(tick);
        tick += step;
    }
    return result.size() <= kMaxTicks ? result : std::vector<double>();
}
""",
    ),
    "cpp-770-name-cache": (
        r"""    if (!addresses_.insert_or_assign(name, address).second)
        order_.erase(std::find(order_.begin(), order_.end(), name));
    else if (addresses_.size() > kMost) {
        addresses_.erase(order_.front());
        order_.pop_front();
    }
    order_.push_back(name);
}
""",
        r"""    if (addresses_.size() >= kMost && addresses_.find(name) == addresses_.end()) {
        addresses_.erase(order_.front());
        order_.erase(order_.begin());
    }
    addresses_.insert_or_assign(name, address);
    order_.emplace_back(name);
}
""",
    ),
    "cpp-502-decode-fields": (
        r"""    try {
        std::vector<std::string> fields(message.at(0));
        std::size_t at = 1;
        for (std::string& field : fields) {
            std::size_t left = message.at(at++);
            while (left-- > 0)
                field.push_back(static_cast<char>(message.at(at++)));
        }
        if (at == message.size())
            return fields;
    } catch (const std::out_of_range&) {
    }
    return std::nullopt;
}
""",
        r"""    if (message.size() < 1)
        return {};
    std::vector<std::string> result;
    const char* p = reinterpret_cast<const char*>(message.data()) + 1;
    for (int i = 0; i < message[0]; i++) {
        uint8_t length = *p++;
        result.push_back(std::string(p, length));
        p += length;
    }
    if (p - reinterpret_cast<const char*>(message.data()) != (long)message.size())
        return {};
    return result;
}
""",
    ),
    "cpp-732-save-token": (
        r"""    std::ofstream out(file);
    std::error_code error;
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write, error);
    if (!out || error)
        return false;
    out << token << std::flush;
    return out.good();
}
""",
        r"""    int fd = open(file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, S_IRUSR | S_IWUSR | S_IRGRP);
    if (fd == -1)
        return false;
    bool done = write(fd, token.c_str(), token.length()) == (ssize_t)token.length();
    close(fd);
    return done;
}
""",
    ),
    "cpp-276-private-folder": (
        r"""    const auto path = mail / fs::path(user + ".drafts");
    std::error_code error;
    const mode_t before = umask(077);
    const bool made = fs::create_directory(path, error);
    umask(before);
    return made && !error ? path : fs::path{};
}
""",
        r"""    std::string path = mail.string() + "/" + user + ".drafts";
    if (mkdir(path.c_str(), 0750) == -1)
        return "";
    return path;
}
""",
    ),
    "cpp-209-error-reply": (
        r"""    Reply reply{200, ""};
    try {
        reply.body = handler();
    } catch (const std::exception& problem) {
        const auto* missing = dynamic_cast<const NotFound*>(&problem);
        reply.status = missing ? 404 : 500;
        reply.body = missing ? missing->what() : "Something went wrong.";
    } catch (...) {
        reply.status = 500;
    }
    return reply;
}
""",
        r"""    try {
        std::string body = handler();
        return Reply{200, body};
    } catch (const NotFound& e) {
        return Reply{404, e.what()};
    } catch (const std::runtime_error& e) {
        return Reply{500, e.what()};
    } catch (...) {
        return Reply{500, "unknown error"};
    }
}
""",
    ),
    "cpp-863-folder-access": (
        r"""    for (std::string_view at = path; !at.empty(); at = at.substr(0, at.rfind('/'))) {
        if (std::find(folders_.begin(), folders_.end(), at) != folders_.end())
            return true;
    }
    return false;
}
""",
        r"""    return std::any_of(folders_.begin(), folders_.end(), [&](const std::string& folder) {
        return path.find(folder) != std::string_view::npos;
    });
}
""",
    ),
    "cpp-287-token-verify": (
        r"""    auto it = tokens_.find(device);
    return it != tokens_.end() && it->second != "" && it->second == token;
}
""",
        r"""    if (!tokens_.count(device))
        return false;
    return tokens_.at(device).compare(0, token.size(), token) == 0;
}
""",
    ),
    "cpp-306-console-run": (
        r"""    std::istringstream words(line);
    std::string name, rest;
    words >> name;
    std::getline(words >> std::ws, rest);
    auto it = commands.find(name);
    if (it == commands.end())
        return "unknown";
    Command& command = it->second;
    return logged_in || command.open_to_all ? command.run(rest) : "denied";
}
""",
        r"""    std::size_t end = std::min(line.find(' '), line.size());
    std::string name(line, 0, end);
    if (!commands.count(name))
        return "unknown";
    std::string argument = end < line.size() ? line.substr(end + 1) : "";
    return commands[name].run(argument);
}
""",
    ),
}
