/* text.tbl.h - every text a report prints, in both languages: T(key, English, Chinese).
 * {0}, {1} ... are filled in. Both texts of a line use the same ones (tests check it). */
/* verdict and first screen */
T(REPORT_TITLE, "Root cause report", "根因分析报告")
T(VERDICT_ABNORMAL, "Something failed", "发现故障")
T(VERDICT_NORMAL, "Nothing abnormal found", "未发现异常")
T(VERDICT_UNDETERMINED, "Undetermined", "无法判定")
T(HEAD_CAUSE, "{0} failed first: {1}", "{0} 最先故障：{1}")
T(LEVEL_CRITICAL, "Critical", "严重")
T(LEVEL_HIGH, "High", "高")
T(LEVEL_MEDIUM, "Medium", "中")
T(LEVEL_LOW, "Low", "低")
T(LEVEL_NONE, "None", "无")
T(BEGAN, "Began", "开始时间")
T(FAILED_FIRST, "Failed first", "最先故障")
T(LIKELY_CAUSE, "Likely cause", "可能原因")
T(AFFECTED, "Affected", "受影响")
T(CONFIDENCE, "Confidence", "置信度")
T(SEVERITY, "Severity", "级别")
T(ANOMALY_TYPE, "Type", "异常类型")
T(LASTED, "{0}, seen until {1}", "{0}，持续到 {1}")
T(NAMED_BY, "{0} (named by {1}; no log of its own here)",
  "{0}（由 {1} 的日志提到，没有它自己的日志）")
T(COMPONENT_OF, "{0} in {1}", "{1} 的 {0}")
T(NO_TIME, "unknown: the records carry no time", "未知：日志中没有时间")
T(UNKNOWN_CAUSE, "no rule knows this failure; it began with: {0}",
  "规则库中没有对应的故障；最先出现的异常：{0}")
T(SEE_EVIDENCE, "{0} (see {1})", "{0}（见 {1}）")
T(CONFIDENCE_HIGH, "{0}", "{0}")
T(CONFIDENCE_LOW, "{0}: weigh the other candidates below", "{0}：请同时考虑下面的其他可能")
/* sections */
T(SEC_DO, "What to do now", "现在该做什么")
T(SEC_WHY, "Explanation", "说明")
T(SEC_EVIDENCE, "Evidence", "证据")
T(SEC_ORDER, "Order of failures", "故障先后顺序")
T(SEC_PATH, "How it spread", "故障传播")
T(SEC_ALTERNATIVES, "Other candidates", "其他可能")
T(SEC_SIGNS, "Earlier signs", "先兆")
T(SEC_CHANGES, "Changes and new lines shortly before", "故障前的变更与新日志")
T(SEC_OTHERS, "Other incidents in the same data", "同一数据中的其他故障")
T(SEC_FINDINGS, "What is abnormal", "异常明细")
T(SEC_MINOR, "Other observations", "其他现象")
T(SEC_TIMELINE, "Timeline", "时间线")
T(SEC_LOOKED, "What was looked at", "分析范围")
T(SEC_PROBLEMS, "Problems with the inputs", "输入存在的问题")
T(SEC_HELP, "What would help", "如何得到结论")
T(SEC_REFERENCES, "Read more", "参考资料")
/* sentences */
T(STORY_FIRST, "The first failure is in {0}, at {1}.", "最先故障的是 {0}，时间 {1}。")
T(STORY_LIKELIEST,
  "What explains most failed in {0}, at {1}. Seen earlier, but fainter or not linked to the rest: "
  "{2}.",
  "最能解释全局的故障在 {0}，时间 {1}。更早出现、但较弱或与其余故障无关联的是：{2}。")
T(STORY_FIRST_NO_TIME, "The first failure is in {0}.", "最先故障的是 {0}。")
T(STORY_NAMED, "It has no log of its own here; failing lines of {0} name it.",
  "这里没有它自己的日志；是 {0} 的故障日志提到了它。")
T(STORY_AFTER, "After it: {0}.", "随后故障的是：{0}。")
T(STORY_ALONE, "No other service shows failures.", "其他服务没有出现故障。")
T(STORY_ONE_SERVICE,
  "Only one service is concerned; the entries below are its components and what its lines name.",
  "只涉及一个服务；下面列出的是它的组件以及其日志提到的对象。")
T(STORY_SIGNS, "There were earlier signs, since {0}: see below.",
  "此前已有先兆，始于 {0}，见下文。")
T(STORY_CHANGES,
  "{0} change(s) or new line(s) shortly before are listed below as candidates, not as the cause.",
  "故障前不久有 {0} 处变更或新日志，列在下面供参考，并不等于原因。")
T(STORY_NO_CHANGE,
  "No new line about a deployment, a configuration change or a restart was seen in the hour "
  "before.",
  "故障前一小时内没有出现关于发布、配置变更或重启的新日志。")
T(STORY_OTHERS, "{0} other incident(s) in the same data are listed below.",
  "同一数据中还有 {0} 起其他故障，列在下面。")
T(STORY_NORMAL,
  "{0} records of {1} service(s) were compared with their own past: rates, new and vanished lines, "
  "error shares, parameters and meaning. Nothing stands out above the expected noise.",
  "已将 {1} 个服务的 {0} "
  "条记录与其自身历史比较：速率、新出现和消失的日志、错误占比、参数以及语义。没有超出正常波动的现象"
  "。")
T(STORY_MINOR, "{0} minor observation(s) below are not an incident.",
  "下面的 {0} 条次要现象不构成故障。")
T(STORY_UNDETERMINED, "There is too little to tell normal from abnormal: {0}.",
  "数据不足以区分正常与异常：{0}。")
T(WHY_FEW_RECORDS, "too few records", "日志条数太少")
T(WHY_NO_TIME, "the records carry no time that could be read", "日志中没有可识别的时间")
T(WHY_LITTLE_TIME, "most records carry no time that could be read", "大多数日志没有可识别的时间")
T(WHY_NO_RECORDS, "no log record could be read", "没有读到任何日志")
T(WHY_NO_INPUTS, "there was no readable input", "没有可读的输入")
T(WHY_SHORT_TIME, "the records span too short a time", "日志覆盖的时间太短")
T(HELP_MORE, "Give a longer stretch of logs, from well before the trouble began (an hour or more).",
  "提供更长时间的日志，从故障发生之前（一小时或更早）开始。")
T(HELP_BASELINE, "Give logs of a normal time to compare with.", "提供正常时段的日志用于比较。")
T(HELP_SERVICES, "Add the logs of neighbouring services: one directory or file each.",
  "加入相邻服务的日志：每个服务一个目录或文件。")
T(HELP_TIME, "Check that each line begins with a time, or name the format.",
  "确认每行以时间开头，或者指定日志格式。")
T(HELP_INPUTS, "Check the paths and permissions listed under the inputs.",
  "检查下面列出的输入路径和权限。")
T(HELP_STORED,
  "Nothing that is stored matches: give an earlier --since, and check the name of --service.",
  "已存储的数据中没有匹配的日志：请提前 --since，并检查 --service 的名称。")
T(UNKNOWN_STEP_1, "Open {0} and read what happened just before it.",
  "打开 {0}，查看在它之前刚刚发生了什么。")
T(UNKNOWN_STEP_2,
  "Compare {0} with the time before {1}: deployments, configuration, traffic, hosts.",
  "将 {0} 与 {1} 之前的状态比较：发布、配置、流量、主机。")
T(UNKNOWN_STEP_3,
  "When the cause is found, add a rule for it (docs/rules.md), so that it is named next time.",
  "找到原因后，请补充一条规则（docs/rules.md），下次即可直接识别。")
/* kinds of findings, as cells and sentences */
T(KIND_NEW_TEMPLATE, "new line, {0} times", "新出现的日志，{0} 次")
T(KIND_RARE_TEMPLATE, "rare line, {0} times", "罕见日志，{0} 次")
T(KIND_RATE_BURST, "burst: {0}, usually {1}", "突增：{0}，平时 {1}")
T(KIND_RATE_DROP, "drop: {0}, usually {1}", "突降：{0}，平时 {1}")
T(KIND_STOPPED, "stopped, usually {0}", "已停止输出，平时 {0}")
T(KIND_SILENCE, "the whole log was silent for {1}, usually {0}", "整个日志静默 {1}，平时 {0}")
T(KIND_PAUSED, "silent for {1}, usually {0}", "静默 {1}，平时 {0}")
T(KIND_ERROR_RATIO, "share of errors {0}, usually {1}", "错误占比 {0}，平时 {1}")
T(KIND_SESSION, "unusual session {0}", "异常会话 {0}")
T(KIND_SEQUENCE, "unexpected order in {0}", "{0} 中的顺序异常")
T(KIND_PARAM_OUTLIER, "{2} {0}, usually {1}", "{2} 为 {0}，平时 {1}")
T(KIND_NEW_VALUE, "new value {0}", "新取值 {0}")
T(KIND_MEANING, "reports a failure, {0} times", "日志内容表明故障，{0} 次")
T(UNIT_LINES_PER_MIN, "lines/min", "行/分钟")
T(UNIT_LINES, "lines", "行")
T(UNIT_SESSIONS, "sessions", "个会话")
T(PARAM_UNNAMED, "a number", "数值")
/* columns */
T(COL_TIME, "Time", "时间")
T(COL_DELTA, "After onset", "距开始")
T(COL_SERVICE, "Service", "服务")
T(COL_COMPONENT, "Component", "组件")
T(COL_WHO, "Where", "位置")
T(COL_WHAT, "What", "现象")
T(COL_LEVEL, "Level", "级别")
T(COL_BITS, "Surprise", "惊异度")
T(COL_COUNT, "Records", "条数")
T(COL_LINE, "Line", "日志")
T(COL_EVIDENCE, "Evidence", "证据")
T(COL_FILE, "File:line", "文件:行")
T(COL_INPUT, "Input", "输入")
T(COL_FORMAT, "Format", "格式")
T(COL_STATE, "State", "状态")
T(COL_PROBLEM, "Problem", "问题")
T(COL_RECORDS, "Records", "记录数")
T(COL_FROM, "From", "来源")
T(COL_TO, "To", "去向")
T(COL_WHY, "Because", "依据")
T(BITS, "{0} bits", "{0} 比特")
T(EDGE_MENTION, "{1} names {0} in {2} failing line(s)", "{1} 的 {2} 条故障日志提到 {0}")
T(EDGE_ORDER, "only by the order in time", "仅依据时间先后")
T(MORE_LINES, "... cut", "……（已截断）")
T(MORE_ROWS, "{0} more are in the JSON report", "另有 {0} 条，见 JSON 报告")
T(LEFT_OUT, "{0} further finding(s) were left out", "另有 {0} 条未列出")
T(STEP_NAMED, "{1} (named by {0})", "{1}（由 {0} 提到）")
T(BEFORE_ONSET, "{0} before the onset", "故障开始前 {0}")
T(TIMELINE_CHANGE, "change", "变更")
T(TIMELINE_ONSET, "begins", "开始")
T(TIMELINE_END, "ends", "结束")
/* looked at */
T(LOOKED_INPUTS, "{0} input(s), {1}, {2} lines, {3} records", "{0} 个输入，{1}，{2} 行，{3} 条记录")
T(LOOKED_RANGE, "{0} to {1} ({2})", "{0} 至 {1}（{2}）")
T(LOOKED_NO_TIME, "no times could be read", "未能识别时间")
T(LOOKED_SERIES, "{0} service(s), {1} templates, {2} series, {3} parameters",
  "{0} 个服务，{1} 个模板，{2} 个序列，{3} 个参数")
T(LOOKED_NOT_KEPT,
  "memory limits: {0} record(s) counted only by service, parameters of {1} record(s) not looked at",
  "内存限制：{0} 条记录仅按服务计数，{1} 条记录的参数未分析")
T(LOOKED_WITHOUT_TIME, "{0} record(s) without a time of their own", "{0} 条记录没有自己的时间")
T(STATE_OK, "read", "已读取")
T(STATE_PARTIAL, "partly read", "部分读取")
T(STATE_SKIPPED, "skipped", "已跳过")
T(MORE_INPUTS, "{0} more input(s)", "另有 {0} 个输入")
T(COMPUTED_NOTE, "Computed without a language model.", "由程序计算得出，未使用大语言模型。")
T(MODEL_NOTE, "Explanation written by {0} from the findings; the ranking is computed.",
  "说明文字由 {0} 根据发现撰写；排序由程序计算。")
T(AND_MORE, "and {0} more", "等另外 {0} 个")
T(LIST_SEP, ", ", "、")
T(NAME_SEP, ": ", "：")
T(UNNAMED_SERVICE, "(no service)", "（无服务名）")
T(SVG_ALT, "Timeline of the failures: one lane per service or component, {0} to {1}",
  "故障时间线：每个服务或组件一行，{0} 至 {1}")
/* pattern tables and their comparison */
T(PAT_NEW, "New", "新出现")
T(PAT_GONE, "Gone", "已消失")
T(PAT_MORE, "More", "增多")
T(PAT_FEWER, "Fewer", "减少")
T(PAT_BEFORE, "Before", "之前")
T(PAT_AFTER, "After", "之后")
T(PAT_RATIO, "Ratio", "倍数")
T(PAT_TEMPLATE, "Template", "模板")
T(PAT_COUNT, "Count", "次数")
T(PAT_SHARE, "Share", "占比")
T(PAT_PARAMS, "Parameters", "参数")
T(PAT_SUMMARY, "{0} new, {1} gone, {2} more, {3} fewer, {4} without significant change",
  "{0} 个新出现，{1} 个消失，{2} 个增多，{3} 个减少，{4} 个无显著变化")
T(PAT_LINES, "{0} lines before, {1} lines after", "之前 {0} 行，之后 {1} 行")
T(PAT_LEFT_OUT, "{0} more not shown", "另有 {0} 个未显示")
T(PAT_FOLDED, "{0} lines repeat the line before them but for their values", "{0} 行与上一行仅参数不同")
T(PAT_OVERFLOW, "{0} lines did not fit in the table of shapes", "{0} 行未能放入模板表")
