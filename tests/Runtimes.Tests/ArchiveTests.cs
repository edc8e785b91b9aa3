using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace Frusta.Runtimes.Tests;

public sealed class ArchiveTests(RuntimeFixture runtimes)
{
    [Theory]
    [InlineData("main", "{\"from\":\"index\",\"json\":[1,2]}")]
    [InlineData("lib1.a.b", "{\"from\":\"lib1\"}")]
    public async Task A_zip_for_node_is_required(string main, string body)
    {
        await using var node = await runtimes.StartNodeAsync();
        var zip = Zip(
            ("index.js", "exports.main = () => ({from: 'index', json: require('./conf.json').setting});"),
            ("conf.json", "{\"setting\":[1,2]}"),
            ("lib1.js", "exports.a = {b: () => ({from: require('mylib').v})};"),
            ("node_modules/mylib/index.js", "exports.v = 'lib1';"));

        var init = await node.InitAsync(zip, main, binary: true);

        Assert.True(init.Ok, init.Body);
        Assert.Equal(body, (await node.RunAsync()).Body);
    }

    [Fact]
    public async Task A_package_json_names_the_module_which_may_be_an_ES_module()
    {
        await using var node = await runtimes.StartNodeAsync();
        var init = await node.InitAsync(
            Zip(("package.json", "{\"main\":\"entry.mjs\"}"), ("entry.mjs", "import os from 'os'; export function main() { return {os: typeof os.EOL}; }")), binary: true);

        Assert.True(init.Ok, init.Body);
        Assert.Equal("{\"os\":\"string\"}", (await node.RunAsync()).Body);
    }

    [Fact]
    public async Task A_tar_with_a_long_name_is_required()
    {
        await using var node = await runtimes.StartNodeAsync();
        var deep = string.Join('/', Enumerable.Repeat("a-folder-with-a-long-name", 8)) + "/deep.js";
        var init = await node.InitAsync(Tar(("index.js", $"exports.main = () => require('./{deep}');"), (deep, "module.exports = {from: 'tar'};")), binary: true);

        Assert.True(init.Ok, init.Body);
        Assert.Equal("{\"from\":\"tar\"}", (await node.RunAsync()).Body);
    }

    [Theory]
    [InlineData("../climbed.js")]
    [InlineData("a/../../climbed.js")]
    [InlineData("/climbed.js")]
    public async Task Names_that_lead_out_of_an_archive_are_refused(string name)
    {
        await using var node = await runtimes.StartNodeAsync();
        await using var python = await runtimes.StartPythonAsync();

        var byNode = await node.InitAsync(Zip(("index.js", ""), (name, "x")), binary: true);
        var byPython = await python.InitAsync(Zip(("__main__.py", "def main(a): pass"), (name, "x")), binary: true);

        Assert.Equal($"{{\"error\":\"Initialization has failed due to: There was an error uncompressing the action Zip archive. The name '{name}' leads out of the archive.\"}}", byNode.Body);
        Assert.False(byPython.Ok);
        Assert.Contains(python.Logs, line => line.Contains("leads out of the archive", StringComparison.Ordinal));
        Assert.False(File.Exists("/climbed.js"));
    }

    [Fact]
    public async Task A_link_that_leads_out_is_not_made()
    {
        await using var node = await runtimes.StartNodeAsync();
        await using var python = await runtimes.StartPythonAsync();

        var byNode = await node.InitAsync(Zip(("index.js", "exports.main = () => ({})"), ("link", "->/etc/passwd")), binary: true);
        var byPython = await python.InitAsync(
            Zip(("__main__.py", "import os\ndef main(a): return {'link': os.path.lexists('link')}"), ("link", "->../../..")), binary: true);

        Assert.False(byNode.Ok);
        Assert.True(byPython.Ok, byPython.Body);
        Assert.Equal("{\"link\": false}\n", (await python.RunAsync()).Body);
    }

    [Theory]
    [InlineData("readme", "Zipped actions must contain either package.json or index.js at the root.")]
    [InlineData("", "There was an error uncompressing the action archive. The file type is unsupported")]
    public async Task Archives_that_node_cannot_use_are_refused_with_words(string name, string words)
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAsync(name.Length == 0 ? "abcd" : Zip((name, "x")), binary: true);

        Assert.Equal($"{{\"error\":\"Initialization has failed due to: {words}\"}}", said.Body);
    }

    [Fact]
    public async Task A_zip_for_python_brings_modules_and_files_that_are_read_relatively()
    {
        await using var python = await runtimes.StartPythonAsync();
        var init = await python.InitAsync(
            Zip(("__main__.py", "import helper\ndef go(a):\n    return {'text': helper.text, 'data': open('data.txt').read()}\n"), ("helper.py", "text = 'helped'"), ("data.txt", "from the archive")),
            "go",
            binary: true);

        Assert.True(init.Ok, init.Body);
        Assert.Equal("{\"text\": \"helped\", \"data\": \"from the archive\"}\n", (await python.RunAsync()).Body);
    }

    [Theory]
    [InlineData("print('hi')", "stderr: hi")]
    [InlineData("raise ValueError('no luck')", "stderr: ValueError: no luck")]
    [InlineData("import sys\nsys.exit(2)", "stderr: exit status 2")]
    public async Task A_virtualenv_that_has_something_to_say_fails_the_init(string script, string lastLine)
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAsync(Zip(("__main__.py", "def main(a): return {}"), ("virtualenv/bin/activate_this.py", script)), binary: true);

        Assert.Equal("{\"error\":\"The action failed to generate or locate a binary. See logs for details.\"}\n", said.Body);
        Assert.Equal(lastLine, python.Logs[^1]);
    }

    [Theory]
    [InlineData("{bad", "SyntaxError: Expected property name or '}' in JSON at position 1")]
    [InlineData("null", "TypeError: Cannot read properties of null (reading 'hasOwnProperty')")]
    public async Task A_package_json_that_cannot_be_read_fails_the_init_in_these_words(string description, string words)
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAsync(Zip(("package.json", description), ("index.js", "exports.main = () => ({})")), binary: true);

        Assert.StartsWith($"{{\"error\":\"Initialization has failed due to: {words}", said.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_virtualenv_is_activated()
    {
        await using var python = await runtimes.StartPythonAsync();
        var init = await python.InitAsync(
            Zip(
                ("__main__.py", "import brought\ndef main(a):\n    return {'v': brought.v}\n"),
                ("virtualenv/bin/activate_this.py", "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))\n"),
                ("virtualenv/lib/brought.py", "v = 1")),
            binary: true);

        Assert.True(init.Ok, init.Body);
        Assert.Equal("{\"v\": 1}\n", (await python.RunAsync()).Body);
    }

    [Theory]
    [InlineData("lib/work.js", "lib/work.main")]
    [InlineData("work.js", "work.all[0]")]
    public async Task A_main_of_a_node_archive_names_a_file_and_an_expression_on_what_it_exports(string file, string main)
    {
        await using var node = await runtimes.StartNodeAsync();
        var entries = Zip(("package.json", "{}"), (file, "exports.main = () => ({is: 'there'}); exports.all = [exports.main];"));
        Assert.True((await node.InitAsync(entries, main, binary: true)).Ok);
        Assert.Equal("{\"is\":\"there\"}", (await node.RunAsync()).Body);
    }

    [Theory]
    [InlineData("main__.py")]
    [InlineData("exec")]
    [InlineData("main__/__init__.py")]
    public async Task A_python_archive_may_name_its_code_as_the_launcher_does(string file)
    {
        await using var python = await runtimes.StartPythonAsync();
        Assert.True((await python.InitAsync(Zip((file, "def main(a):\n    return {'is': 'there'}\n")), binary: true)).Ok);
        Assert.Equal("{\"is\": \"there\"}\n", (await python.RunAsync()).Body);
    }

    [Theory]
    [InlineData("other.py", "stderr: Zip file does not include main__")]
    [InlineData("virtualenv/readme", "stderr: Invalid virtualenv. Zip file does not include 'activate_this.py'.")]
    public async Task Archives_that_python_cannot_use_are_explained_in_the_log(string name, string line)
    {
        await using var python = await runtimes.StartPythonAsync();
        (string, string)[] entries = name.EndsWith(".py", StringComparison.Ordinal) ? [(name, "x")] : [("__main__.py", "x"), (name, "x")];

        var said = await python.InitAsync(Zip(entries), binary: true);

        Assert.Equal("{\"error\":\"The action failed to generate or locate a binary. See logs for details.\"}\n", said.Body);
        Assert.Equal([line, "stderr: "], python.Logs);
    }

    /// <summary>A content that begins with an arrow makes a symbolic link.</summary>
    private static string Zip(params (string Name, string Content)[] entries)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in entries)
            {
                var entry = zip.CreateEntry(name);
                var isLink = content.StartsWith("->", StringComparison.Ordinal);
                entry.ExternalAttributes = (isLink ? 0xA1FF : 0x81A4) << 16;
                using var stream = entry.Open();
                stream.Write(Encoding.UTF8.GetBytes(isLink ? content[2..] : content));
            }
        }

        return Convert.ToBase64String(bytes.ToArray());
    }

    private static string Tar(params (string Name, string Content)[] entries)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(gzip))
        {
            foreach (var (name, content) in entries)
            {
                using var data = new MemoryStream(Encoding.UTF8.GetBytes(content));
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = data });
            }
        }

        return Convert.ToBase64String(bytes.ToArray());
    }
}
