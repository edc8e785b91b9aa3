using System.Globalization;
using System.Text;
using System.Xml.Linq;
using Frusta.Contracts.Options;
using Frusta.Server.Configuration;

namespace Frusta.Repository.Tests;

/// <summary>docs/reference/options.md is made from the option classes and their comments, so that it cannot fall behind.</summary>
public sealed class OptionsTableTests
{
    private const string Page = "docs/reference/options.md";

    [Fact]
    public void The_table_of_options_is_what_the_classes_say()
    {
        var made = Make();
        if (Environment.GetEnvironmentVariable("UPDATE_DOCUMENTS") is "1")
        {
            File.WriteAllText(Path.Combine(Tree.Root, Page), made);
        }

        Assert.Equal(made, Tree.Read(Page));
    }

    private static string Make()
    {
        var page = new StringBuilder();
        page.Append("# Options\n\n");
        page.Append("Made from the option classes by `UPDATE_DOCUMENTS=1 ./test Repository`. Each may be set as `--Section:Key=VALUE`, as environment variable\n");
        page.Append("`FRUSTA_Section__Key=VALUE`, or in `frusta.json` as `{\"Section\": {\"Key\": VALUE}}`; a flag wins over the environment, and the environment over\n");
        page.Append("the file. An unknown or bad one is refused at start by name.\n\n");
        page.Append("A list is one value with commas, `--Sandboxes:Network:Deny=192.0.2.0/24,198.51.100.7`, or in the file also `[\"192.0.2.0/24\", \"198.51.100.7\"]`; the\n");
        page.Append("strongest source that has one gives the whole list. A time is written as `d.hh:mm:ss.fff` with days and fractions left out where there are\n");
        page.Append("none: `00:00:10` is ten seconds, `1.12:00:00` a day and a half, and a mere `7` is seven days.\n\n");
        page.Append("Secrets come from file or environment only; as a flag, which everybody on the host can read, they are refused. `Subjects:NAME=UUID:KEY` makes a\n");
        page.Append("further identity, a subject NAME with a namespace NAME; the key has 64 characters.\n");
        foreach (var section in new FrustaOptions().Sections)
        {
            page.Append(CultureInfo.InvariantCulture, $"\n## {section.Name}\n\n| option | default | meaning, unit and bounds |\n|---|---|---|\n");
            Rows(page, section.Name, section.Options);
        }

        return page.ToString();
    }

    private static void Rows(StringBuilder page, string prefix, object options)
    {
        foreach (var property in options.GetType().GetProperties().Where(property => property.GetMethod is { IsStatic: false }))
        {
            var value = property.GetValue(options);
            var summary = Summary(property.DeclaringType!, property.Name);
            if (value is System.Collections.IDictionary entries)
            {
                foreach (System.Collections.DictionaryEntry entry in entries)
                {
                    Rows(page, $"{prefix}:{property.Name}:{entry.Key}", entry.Value!);
                }

                continue;
            }

            if (property.IsDefined(typeof(SameSectionAttribute), inherit: false))
            {
                Rows(page, prefix, value!);
                continue;
            }

            if (value is not null && property.PropertyType.IsClass && property.PropertyType != typeof(string)
                && property.PropertyType.Namespace!.StartsWith("Frusta.", StringComparison.Ordinal))
            {
                Rows(page, $"{prefix}:{property.Name}", value);
                continue;
            }

            Assert.True(summary.Length > 0, $"{prefix}:{property.Name} has no comment that says unit and bounds.");
            var secret = property.IsDefined(typeof(SecretAttribute), inherit: false) ? " Secret: from file or environment." : "";
            page.Append(CultureInfo.InvariantCulture, $"| `{prefix}:{property.Name}` | {Show(value)} | {summary}{secret} |\n");
        }
    }

    private static string Show(object? value) => value switch
    {
        null or "" => "-",
        TimeSpan time => $"`{time}`",
        bool flag => flag ? "`true`" : "`false`",
        System.Collections.IEnumerable and not string => "empty",
        _ => $"`{Convert.ToString(value, CultureInfo.InvariantCulture)}`",
    };

    private static string Summary(Type type, string property)
    {
        var file = Path.ChangeExtension(type.Assembly.Location, ".xml");
        var member = XDocument.Load(file).Descendants("member")
            .FirstOrDefault(element => string.Equals(element.Attribute("name")!.Value, $"P:{type.FullName}.{property}", StringComparison.Ordinal));
        var text = string.Concat(member?.Element("summary")?.Nodes().Select(Plain) ?? []);
        return string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Replace("|", "\\|", StringComparison.Ordinal);
    }

    private static string Plain(XNode node) => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "c" } code => $"`{code.Value}`",
        XElement element => element.Attribute("cref")?.Value.Split('.')[^1] ?? element.Value,
        _ => "",
    };
}
