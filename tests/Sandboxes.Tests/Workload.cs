using System.Text;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests;

/// <summary>A Python program that says hello with a zero byte, runs what it is sent line by line, and answers each with one line.</summary>
internal static class Workload
{
    private const string Program = """
        import sys, socket, os
        requests, answers = os.fdopen(3), os.fdopen(4, 'w')
        answers.write(chr(0)); answers.flush()
        for line in requests:
            try: answer = str(eval(compile(line, 'order', 'eval'), globals()))
            except BaseException as e: answer = 'ERROR ' + type(e).__name__ + ' ' + str(e)
            answers.write(answer.replace('\n', ' ') + '\n'); answers.flush()
        """;

    internal static SandboxSpec Python(int memoryMb = 128) => new()
    {
        Purpose = "python",
        Command = ["/usr/bin/python3", "-c", Program],
        Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["__OW_API_HOST"] = "http://api" },
        MemoryMb = memoryMb,
        AddressSpaceMayBeLimited = true,
    };

    internal static SandboxSpec Run(string command, params string[] arguments) => Python() with { Command = [command, .. arguments] };

    internal static SandboxChannel Channel(this ISandbox sandbox) => (SandboxChannel)sandbox.Endpoint;

    /// <summary>Evaluates a Python expression inside and returns its text.</summary>
    internal static async Task<string> AskAsync(this ISandbox sandbox, string expression)
    {
        var token = TestContext.Current.CancellationToken;
        sandbox.Tell(expression);
        var answer = new List<byte>();
        var buffer = new byte[4096];
        while (answer.Count == 0 || answer[^1] != '\n')
        {
            var length = OutputPipe.Read(sandbox.Channel().Answers, buffer);
            if (length == 0)
            {
                return "CLOSED";
            }

            if (length < 0)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, token);
                continue;
            }

            answer.AddRange(buffer[..length].Where(static value => value != 0));
        }

        return Encoding.UTF8.GetString([.. answer]).TrimEnd('\n');
    }

    /// <summary>Has an expression evaluated without waiting for the answer.</summary>
    internal static void Tell(this ISandbox sandbox, string expression) => OutputPipe.Write(sandbox.Channel().Requests, Encoding.UTF8.GetBytes(expression + "\n"));

    /// <summary>Reads what is in a pipe of the sandbox until it would block or ends.</summary>
    internal static string Drain(Microsoft.Win32.SafeHandles.SafeFileHandle pipe)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        for (int length; (length = OutputPipe.Read(pipe, buffer)) > 0;)
        {
            text.Append(Encoding.UTF8.GetString(buffer, 0, length));
        }

        return text.ToString();
    }
}
