using System.Globalization;
using Frusta.Controller.Identities;
using Frusta.Sandboxes;
using Frusta.Server.Configuration;

namespace Frusta.Server.Roles;

/// <summary>The screen that the server prints when it is ready: how to reach it, what it isolates and limits, what it cannot, and what it runs.</summary>
internal static class StartScreen
{
    private const int Width = 110;

    public static void Print(TextWriter output, FrustaOptions options, StartFacts facts)
    {
        var host = $"http://{options.Server.Reached(facts.Port)}";
        output.WriteLine();
        output.WriteLine($"  Frusta {facts.Version}, standalone");
        output.WriteLine();
        Row(output, "API host", host);
        if (facts.ShowsGuestKey)
        {
            Row(output, "wsk", $"wsk property set --apihost {host} --auth {Subjects.Stock["guest"]}");
        }
        else
        {
            Row(output, "wsk", $"wsk property set --apihost {host} --auth UUID:KEY");
            Row(output, "", "The stock keys are not accepted here. Set a subject as FRUSTA_Subjects__NAME=UUID:KEY or in frusta.json.");
        }

        Row(output, "Data", facts.DataFolder);
        Rows(output, "Takes", facts.Connections);
        Rows(output, "Isolates", facts.Isolation.Isolates);
        Rows(output, "Limits", facts.Isolation.Limits);
        Rows(output, "Without", facts.Isolation.Missing);
        Rows(output, "Runs", facts.Runtimes);
        Rows(output, "Found", facts.Recovered);
        output.WriteLine();
        output.WriteLine($"  Ready after {facts.Elapsed.TotalSeconds.ToString("0.00", CultureInfo.InvariantCulture)} s. Ctrl-C stops the server when running activations have ended.");
        output.WriteLine();
        output.Flush();
    }

    private static void Rows(TextWriter output, string label, IReadOnlyList<string> sentences)
    {
        if (sentences.Count > 0)
        {
            Row(output, label, string.Join("; ", sentences.Select(sentence => sentence.TrimEnd('.'))) + '.');
        }
    }

    private static void Row(TextWriter output, string label, string text)
    {
        const string indent = "            ";
        var line = $"  {label,-10}";
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length + word.Length + 1 > Width && line.Length > indent.Length)
            {
                output.WriteLine(line);
                line = indent + word;
            }
            else
            {
                line = line.Length <= indent.Length && line.EndsWith(' ') ? line + word : $"{line} {word}";
            }
        }

        output.WriteLine(line);
    }
}

/// <summary>The facts that the start has found, for the start screen.</summary>
internal sealed record StartFacts(
    string Version,
    int Port,
    bool ShowsGuestKey,
    string DataFolder,
    IReadOnlyList<string> Connections,
    IsolationReport Isolation,
    IReadOnlyList<string> Runtimes,
    IReadOnlyList<string> Recovered,
    TimeSpan Elapsed);
